"""The comments that the API documentation shows."""

import json

from tools.protos.comments import comments_text
from tools.protos.generate import COMMENTS, write_image


def test_every_kind_of_declaration_keeps_its_comment_and_the_committed_file_is_current(tmp_path):
    image = tmp_path / "image.binpb"
    write_image(image)
    text = comments_text(image.read_bytes())
    found = json.loads(text)
    assert found["nhip.records.v1.RecordsService.ReadResource"] == (
        "The current version. "
        "Fails with NOT_FOUND, reason RESOURCE_UNKNOWN, also when the caller may not see it; NOT_FOUND, reason "
        "RESOURCE_DELETED, when it was deleted."
    )
    assert found["nhip.types.v1.Money"].startswith("An amount in satang")
    assert found["nhip.patient_index.v1.Registration.birth_date"].startswith("YYYY")
    assert found["nhip.types.v1.PurposeOfUse.PURPOSE_OF_USE_TREATMENT"].startswith("TREAT")
    assert found["nhip.options.v1.Access.Caller.CALLER_TOKEN"].startswith("The bearer")
    assert all(name.startswith("nhip.") for name in found)
    assert COMMENTS.read_text(encoding="utf-8") == text
