"""What every contract keeps to, whoever writes the next one."""

import pkgutil
from importlib import import_module

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from nhip.options.v1 import options_pb2

from libs.runtime.policy import ACTION, CALLER, methods_of

PACKAGES = ("identity", "patient_index", "records", "claims", "surveillance", "exchange", "audit", "feed", "calls")
SERVICES = [
    service
    for package in PACKAGES
    for module in pkgutil.iter_modules(import_module(f"nhip.{package}.v1").__path__)
    if module.name.endswith("_pb2")
    for service in import_module(f"nhip.{package}.v1.{module.name}").DESCRIPTOR.services_by_name.values()
]
METHODS = [method for service in SERVICES for method in service.methods]
LEASED = ("Take", "Settle")
# Names of fields that hold somebody's data wherever they stand, or let somebody in.
PERSONAL = {
    *("given", "family", "prefix", "line", "phone", "citizen_key", "citizen_id", "local_number", "birth_date"),
    *("client_secret", "access_token", "body", "display_name", "card_number", "age_years"),
}


def full_name(method):
    return method.full_name.removeprefix("nhip.")


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_method_declares_its_whole_policy(service):
    assert len(methods_of(service)) == len(service.methods) > 0


@pytest.mark.parametrize("method", METHODS, ids=full_name)
def test_every_rpc_has_its_own_request_and_response(method):
    assert method.input_type.name == f"{method.name}Request"
    assert method.output_type.name == f"{method.name}Response"


@pytest.mark.parametrize("method", METHODS, ids=full_name)
def test_what_changes_something_can_be_retried(method):
    level = method.GetOptions().idempotency_level
    has_request_id = "request_id" in method.input_type.fields_by_name
    # A token is new each time it is asked for, an upload is known by its bytes, a registration by its organisation's number,
    # lines of resources by their ids, and each of the calls that are joined by what it brings. A notification is given to
    # somebody else only when its lease is over, and settled by it.
    by_nature = method.name in {"IssueToken", "UploadImport", "StreamRegistrations", "StartBulkImport", "Join"}
    by_nature = by_nature or method.name in {f"{verb}{kind}Notification" for verb in LEASED for kind in ("", "Bound")}
    assert level == MethodOptions.NO_SIDE_EFFECTS or has_request_id or by_nature


@pytest.mark.parametrize("method", METHODS, ids=full_name)
def test_what_is_open_to_anyone_touches_nobody_s_data(method):
    policy = method.GetOptions().Extensions[options_pb2.policy]
    # This one lets in who holds a token that records sealed for who subscribed, and is recorded under their name.
    if policy.access.caller == CALLER.CALLER_ANYONE and method.name != "TakeBoundNotification":
        assert policy.audit.action == ACTION.ACTION_NONE


def messages():
    seen = {}

    def visit(message):
        if message.full_name in seen or not message.full_name.startswith("nhip."):
            return
        seen[message.full_name] = message
        for field in message.fields:
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                visit(field.message_type)

    for method in METHODS:
        visit(method.input_type)
        visit(method.output_type)
    for package in ("identity", "patient_index", "records", "audit"):
        for message in import_module(f"nhip.{package}.v1.events_pb2").DESCRIPTOR.message_types_by_name.values():
            visit(message)
    return list(seen.values())


@pytest.mark.parametrize("message", messages(), ids=lambda message: message.full_name)
def test_fields_with_personal_data_are_marked(message):
    unmarked = [
        field.name
        for field in message.fields
        if field.name in PERSONAL
        # The line of a file is a number, the line of an address a text.
        and not (field.name == "line" and field.type == FieldDescriptor.TYPE_INT64)
        and not field.GetOptions().Extensions[options_pb2.personal]
    ]
    assert unmarked == []
