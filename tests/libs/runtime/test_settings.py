"""Settings are refused by name when they are missing or malformed."""

import pytest

from libs.runtime.settings import Settings, SettingsError

GOOD = {
    "NHIP_DATABASE_URL": "postgresql://localhost/nhip_records",
    "NHIP_SECRETS": "/nowhere",
    "NHIP_LISTEN": "127.0.0.1:5000",
    "NHIP_PEERS": "identity=127.0.0.1:5001, records=127.0.0.1:5002",
}


def test_settings_are_read_from_the_environment():
    settings = Settings.read("records", GOOD)
    assert settings.peer("identity") == "127.0.0.1:5001"
    assert not settings.allow_development_login
    assert not settings.absent
    absent = Settings.read("records", {**GOOD, "NHIP_ABSENT": "claims, exchange"}).absent
    assert absent == {"claims", "exchange"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"NHIP_DATABASE_URL": ""}, "NHIP_DATABASE_URL"),
        ({"NHIP_SECRETS": ""}, "NHIP_SECRETS"),
        ({"NHIP_PEERS": "identity"}, "NHIP_PEERS"),
        ({"NHIP_POOL_SIZE": "many"}, "NHIP_POOL_SIZE"),
    ],
)
def test_what_is_wrong_is_named(changes, named):
    with pytest.raises(SettingsError, match=named):
        Settings.read("records", {**GOOD, **changes})


def test_a_peer_that_is_not_given_and_a_secret_that_is_not_there_are_named(tmp_path):
    settings = Settings.read("records", {**GOOD, "NHIP_SECRETS": str(tmp_path)})
    with pytest.raises(SettingsError, match="claims"):
        settings.peer("claims")
    with pytest.raises(SettingsError, match="platform_key"):
        settings.secret("platform_key")
    (tmp_path / "platform_key").write_text("not base64!")
    with pytest.raises(SettingsError, match="platform_key is not base64"):
        settings.secret("platform_key")
