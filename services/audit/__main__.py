"""Wiring of audit: `python -m services.audit serve | migrate`."""

import logging

from nhip.audit.v1 import service_pb2

from libs.feed.follower import Subscription
from libs.runtime.service import Assembly, Ground, main
from services.audit.api import AuditApi
from services.audit.checkpoints import Checkpoints, CheckpointSigner
from services.audit.followers import append_accesses, forget_registrations, place_registrations

# Whoever touches a person's data; audit itself too, whose own reads are accesses.
SOURCES = ("identity", "patient_index", "records", "claims", "surveillance", "exchange", "audit")

log = logging.getLogger(__name__)


async def build(ground: Ground) -> Assembly:
    """Follows everybody, signs what grows, and answers who looked."""
    signer = CheckpointSigner(ground.settings.secret_text("audit_key"), ground.clock)
    log.info("checkpoints are verified with %s", signer.verifier_key)
    checkpoints = Checkpoints(ground.database, signer)
    return Assembly(
        apis={
            service_pb2.DESCRIPTOR.services_by_name["AuditService"]: AuditApi(
                ground.database, ground.pages, checkpoints
            )
        },
        subscriptions=[
            *(Subscription(source, "access", append_accesses) for source in SOURCES),
            Subscription("patient_index", "patient_index", place_registrations, forget_registrations),
        ],
        background=[checkpoints.keep_signing],
    )


if __name__ == "__main__":
    raise SystemExit(main("audit", build))
