"""The OpenAPI document and the pages."""

import re

import orjson
import pytest

from services.edge.openapi.document import openapi_document
from services.edge.openapi.schemas import comments
from services.edge.routes import routes_of
from services.edge.upstream import SERVICES

ROUTES = routes_of(SERVICES.values())


@pytest.fixture(scope="module")
def document():
    return orjson.loads(openapi_document(ROUTES))


def _walk(value):
    yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _walk(child)


def _operations(document):
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            yield path, verb, operation


def test_every_reference_leads_somewhere(document):
    references = [found["$ref"] for found in _walk(document) if isinstance(found, dict) and "$ref" in found]
    assert len(references) > 100
    for reference in references:
        place = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert place


def test_every_schema_is_referred_to(document):
    text = orjson.dumps(document).decode()
    unused = [name for name in document["components"]["schemas"] if f'#/components/schemas/{name}"' not in text]
    assert unused == []


def test_every_route_stands_in_it_and_operations_have_names_of_their_own(document):
    for route in ROUTES:
        assert document["paths"][route.template][route.verb.lower()]["operationId"] == route.method.label
    names = [operation["operationId"] for _, _, operation in _operations(document)]
    assert len(names) == len(set(names))


def test_every_operation_is_complete(document):
    tags = {tag["name"] for tag in document["tags"]}
    scopes = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]["scopes"]
    for path, verb, operation in _operations(document):
        assert verb in {"get", "post", "put", "patch", "delete"}
        assert operation["summary"], path
        assert set(operation["tags"]) <= tags
        assert "200" in operation["responses"]
        assert {"default", "400"} & set(operation["responses"])
        for requirement in operation["security"]:
            assert set(requirement.get("oauth2", ())) <= set(scopes)
        parameters = operation.get("parameters", [])
        named = {one["name"] for one in parameters if one["in"] == "path"}
        assert named == set(re.findall(r"{([^}]+)}", path)), path
        keys = [(one["in"], one["name"]) for one in parameters]
        assert len(keys) == len(set(keys))
        assert all(one["required"] for one in parameters if one["in"] == "path")


def test_field_rules_become_constraints(document):
    schemas = document["components"]["schemas"]
    organization = schemas["identity.Organization"]["properties"]
    assert organization["organizationId"]["pattern"] == "^[A-Za-z0-9][A-Za-z0-9-]{1,31}$"
    assert organization["name"]["minLength"] == 1
    assert organization["name"]["maxLength"] == 255
    claim = schemas["claims.Claim"]["properties"]
    assert (claim["diagnoses"]["minItems"], claim["diagnoses"]["maxItems"]) == (1, 50)
    assert claim["diagnoses"]["items"]["pattern"] == "^[A-Z][0-9]{2}[0-9A-Z]{0,4}$"
    assert schemas["claims.ClaimLine"]["required"] == ["unitPrice"]
    query = {one["name"]: one for one in document["paths"]["/v1/reviews"]["get"]["parameters"]}
    assert query["pageSize"]["schema"]["maximum"] == 200


def test_comments_become_descriptions(document):
    operation = document["paths"]["/v1/persons/{person_id}/summary"]["get"]
    assert "What a doctor needs of a stranger" in operation["description"]
    assert "purpose of use" in operation["description"]
    birth_date = document["components"]["schemas"]["patient_index.Registration"]["properties"]["birthDate"]
    assert birth_date["description"].endswith("Personal data.")


def test_every_served_method_has_a_comment_of_its_own():
    assert [route.method.label for route in ROUTES if not comments().get(route.descriptor.full_name)] == []


def test_what_the_path_binds_does_not_stand_in_the_body(document):
    request = document["components"]["schemas"]["patient_index.LinkRegistrationRequest"]
    assert "registrationId" not in request["properties"]
    assert "personId" in request["properties"]


def test_nested_fields_are_dotted_parameters_and_the_upload_is_a_file(document):
    upload = document["paths"]["/v1/imports"]["post"]
    assert "application/octet-stream" in upload["requestBody"]["content"]
    assert {one["name"] for one in upload["parameters"]} == {"format", "fileName", "NHIP-Position"}


async def test_the_document_is_served(edge):
    answer = await edge.client.get("/openapi.json")
    assert answer.json()["openapi"] == "3.1.0"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/docs", "text/html"),
        ("/docs/docs.css", "text/css"),
        ("/docs/docs.js", "text/javascript"),
        ("/docs/words.js", "text/javascript"),
    ],
)
async def test_pages_need_no_other_host(edge, path, kind):
    answer = await edge.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"""(src|href|url\(|fetch\()\s*=?\s*["']?(https?:)?//""", answer.text)


async def test_every_link_of_the_landing_page_leads_somewhere(edge):
    page = (await edge.client.get("/")).text
    links = re.findall(r'href="([^"]+)"', page)
    assert "/docs" in links
    for link in links:
        assert (await edge.client.get(link)).status_code == 200, link


async def test_every_word_of_the_documentation_is_there_in_both_languages(edge):
    words = (await edge.client.get("/docs/words.js")).text
    english, thai = words.split("\n  th: {")
    used = set(re.findall(r'data-word="(\w+)"', (await edge.client.get("/docs")).text))
    used |= set(re.findall(r'word\("(\w+)"\)', (await edge.client.get("/docs/docs.js")).text))
    for half in (english, thai):
        assert {name for name in used if not re.search(rf"\b{name}:", half)} == set()
