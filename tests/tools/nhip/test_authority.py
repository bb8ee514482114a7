"""An authority of one's own issues what services read, renews in time, and hands over in steps that fit."""

import stat

import pytest
from click.testing import CliRunner
from cryptography import x509

from libs.runtime.certificates import CHAIN, read
from tools.nhip import authority as authorities
from tools.nhip.authority import Authority, AuthorityError, Issuer
from tools.nhip.main import main

SERVICES = ["records", "patient_index"]


def leaf(folder, service="records") -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / service / CHAIN).read_bytes())


def test_it_issues_what_each_service_reads_and_nobody_else_can(tmp_path):
    Authority(tmp_path, SERVICES).make()
    for service in SERVICES:
        assert read(tmp_path / service, service)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_what_holds_for_long_enough_is_kept_and_the_rest_is_made_anew(tmp_path, monkeypatch):
    one = Authority(tmp_path, SERVICES)
    one.make()
    before = leaf(tmp_path)
    assert one.make() == []
    assert leaf(tmp_path) == before
    (tmp_path / "records" / CHAIN).unlink()
    assert one.make() == ["records"]
    # One that has as little left as its clock skew is due.
    monkeypatch.setattr(authorities, "LEAF_DAYS", 0)
    (tmp_path / "records" / CHAIN).unlink()
    one.make()
    monkeypatch.undo()
    assert one.make() == ["records"]


def test_a_leaf_is_of_the_authority_that_it_names(tmp_path):
    Authority(tmp_path, SERVICES).make()
    issuer = Issuer.read(tmp_path / "authority", "current")
    leaf(tmp_path).verify_directly_issued_by(issuer.certificate)
    assert not leaf(tmp_path).extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_steps_out_of_order_are_refused_and_say_which_fits(tmp_path):
    one = Authority(tmp_path, SERVICES)
    with pytest.raises(AuthorityError, match="`make` one"):
        one.introduce()
    one.make()
    with pytest.raises(AuthorityError, match="`introduce` it first"):
        one.issue()
    one.introduce()
    with pytest.raises(AuthorityError, match="`issue` first"):
        one.retire()
    with pytest.raises(AuthorityError, match="`issue`, then `retire`"):
        one.introduce()
    one.issue()
    one.retire()
    one.introduce()


def test_a_new_service_is_given_a_certificate_that_all_trust_also_in_the_midst_of_a_change(tmp_path):
    Authority(tmp_path, SERVICES).make()
    Authority(tmp_path, SERVICES).introduce()
    assert Authority(tmp_path, [*SERVICES, "claims"]).make() == ["claims"]
    assert len(x509.load_pem_x509_certificates((tmp_path / "claims" / "ca.crt").read_bytes())) == 2


def test_the_command_takes_the_same_steps(tmp_path):
    folder = str(tmp_path / "certificates")
    runner = CliRunner()
    refused = runner.invoke(main, ["certificates", "issue", folder])
    assert refused.exit_code == 1
    for step, said in (
        ("make", "made anew: identity"),
        ("introduce", "issue"),
        ("issue", "retire"),
        ("retire", "done"),
    ):
        answer = runner.invoke(main, ["certificates", step, folder])
        assert answer.exit_code == 0, answer.output
        assert said in answer.output
    assert "nothing" in runner.invoke(main, ["certificates", "make", folder]).output
