"""The tree, its proofs, and who is shown what: pure."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from libs.access.caller import Caller, CallerKind, Scopes
from libs.errors import InvalidArgumentError, PermissionDeniedError
from services.audit.model import Shown
from services.audit.rules import merkle, notes, views
from services.audit.rules.commitments import commitment

# The tree heads of RFC 6962's reference test vectors: the first n of eight leaves.
LEAVES = [bytes.fromhex(leaf) for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")] + [
    bytes.fromhex("606162636465666768696a6b6c6d6e6f")
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def naive_root(leaves):
    """The definition of section 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def a_log(leaves, batches=()):
    """Node hashes by place, appended in batches of the given sizes."""
    held, size, rest = {}, 0, [merkle.leaf_hash(leaf) for leaf in leaves]
    for batch in (*batches, len(leaves)):
        frontier = [held[place] for place in merkle.complete_subtrees((0, size))]
        for node in merkle.grown(size, frontier, rest[:batch]):
            assert node.place not in held
            held[node.place] = node.hash
        size, rest = size + len(rest[:batch]), rest[batch:]
    return held


def hash_of(held, span):
    return merkle.joined([held[place] for place in merkle.complete_subtrees(span)])


@pytest.mark.parametrize(("size", "root"), ROOTS.items())
def test_roots_are_those_of_the_reference_vectors(size, root):
    assert hash_of(a_log(LEAVES[:size]), (0, size)).hex() == root


some_leaves = st.integers(0, 200).map(lambda count: [number.to_bytes(2, "big") for number in range(count)])


@given(leaves=some_leaves, batches=st.lists(st.integers(0, 40), max_size=6), data=st.data())
def test_a_tree_grown_in_any_batches_equals_the_naive_tree_at_every_size(leaves, batches, data):
    held = a_log(leaves, batches)
    assert len(held) <= max(0, 2 * len(leaves) - 1)
    size = data.draw(st.integers(0, len(leaves)))
    assert hash_of(held, (0, size)) == naive_root(leaves[:size])


@given(size=st.integers(1, 130), data=st.data())
def test_inclusion_is_proven_for_every_leaf_and_refused_for_any_other(size, data):
    leaves = [bytes([number]) for number in range(size)]
    held, index = a_log(leaves), data.draw(st.integers(0, size - 1))
    spans = merkle.inclusion_spans(index, size)
    path = [hash_of(held, span) for span in spans]
    assert path == [naive_root(leaves[first:end]) for first, end in spans]
    assert len(path) <= size.bit_length()
    root, leaf = naive_root(leaves), merkle.leaf_hash(leaves[index])
    assert merkle.verify_inclusion(leaf, index, size, path, root)
    other = data.draw(st.integers(-1, size).filter(lambda one: one != index))
    assert not merkle.verify_inclusion(leaf, other, size, path, root)
    assert not merkle.verify_inclusion(merkle.leaf_hash(b"another"), index, size, path, root)
    assert not merkle.verify_inclusion(leaf, index, size, [*path, leaf], root)
    assert not merkle.verify_inclusion(leaf, index, size, path, leaf + b"x")
    if path:
        assert not merkle.verify_inclusion(leaf, index, size, path[:-1], root)


@given(second=st.integers(1, 130), data=st.data())
def test_consistency_is_proven_between_all_sizes_and_refused_for_a_changed_past(second, data):
    leaves = [bytes([number]) for number in range(second)]
    first = data.draw(st.integers(1, second))
    held = a_log(leaves)
    path = [hash_of(held, span) for span in merkle.consistency_spans(first, second)]
    before, after = naive_root(leaves[:first]), naive_root(leaves)
    assert merkle.verify_consistency(first, second, before, after, path)
    place = data.draw(st.integers(0, first - 1))
    changed = [*leaves[:place], b"changed", *leaves[place + 1 :]]
    forged_log = a_log(changed)
    forged = [hash_of(forged_log, span) for span in merkle.consistency_spans(first, second)]
    assert not merkle.verify_consistency(first, second, before, naive_root(changed), forged)
    assert not merkle.verify_consistency(first, second, before, after, [*path, after])
    if path:
        assert not merkle.verify_consistency(first, second, before, after, path[:-1])
        assert not merkle.verify_consistency(first, second, before, after, [])


def test_every_tree_begins_with_the_empty_one_and_none_with_a_larger():
    assert merkle.verify_consistency(0, 5, merkle.EMPTY_ROOT, naive_root(LEAVES[:5]), [])
    assert not merkle.verify_consistency(0, 5, b"another", naive_root(LEAVES[:5]), [])
    assert not merkle.verify_consistency(6, 5, naive_root(LEAVES[:6]), naive_root(LEAVES[:5]), [b""])


@given(st.integers(0, 2**40), st.integers(0, 2**20))
def test_complete_subtrees_cover_a_span_without_gap_or_overlap(first, length):
    at = first
    for place in merkle.complete_subtrees((first, first + length)):
        assert place.number << place.level == at
        at += 1 << place.level
    assert at == first + length


def test_a_commitment_depends_on_salt_and_content_and_on_nothing_else():
    assert commitment(b"s" * 16, b"content") == hashlib.sha256(b"s" * 16 + b"content").digest()
    assert commitment(b"t" * 16, b"content") != commitment(b"s" * 16, b"content")
    with pytest.raises(ValueError, match="16 bytes"):
        commitment(b"s" * 15, b"scontent")


def test_a_note_is_what_c2sp_says():
    private_key = Ed25519PrivateKey.generate()
    public = private_key.public_key().public_bytes_raw()
    body = notes.body(3, b"\x01" * 32)
    note = notes.signed(body, public, private_key.sign(body.encode()))
    text, _, signature_line = note.partition("\n\n")
    assert text.split("\n") == ["nhip.th/audit", "3", base64.b64encode(b"\x01" * 32).decode()]
    dash, name, told = signature_line.removesuffix("\n").split(" ")
    assert (dash, name) == ("—", "nhip.th/audit")
    raw = base64.b64decode(told)
    assert raw[:4] == hashlib.sha256(b"nhip.th/audit\n\x01" + public).digest()[:4]
    private_key.public_key().verify(raw[4:], (text + "\n").encode())
    name, key_hash, key = notes.verifier_key(public).split("+", 2)
    assert (name, bytes.fromhex(key_hash)) == ("nhip.th/audit", raw[:4])
    assert base64.b64decode(key) == b"\x01" + public
    Ed25519PublicKey.from_public_bytes(base64.b64decode(key)[1:])


CITIZEN = Caller(CallerKind.CITIZEN, "citizen/1", scopes=Scopes.parse("person.self"), citizen_key="key")
AUDITOR = Caller(CallerKind.CLIENT, "client/1", "nhip", Scopes.parse("audit.read"))


def test_a_citizen_asks_about_themself_and_an_auditor_names_the_person():
    assert views.question(CITIZEN, "") == views.Question(citizen_key="key")
    assert views.question(AUDITOR, "p1") == views.Question(person_id="p1")


@pytest.mark.parametrize(
    ("caller", "person_id", "error", "reason"),
    [
        (AUDITOR, "", InvalidArgumentError, "PERSON_REQUIRED"),
        (CITIZEN, "p1", InvalidArgumentError, "PERSON_UNEXPECTED"),
        (
            Caller(CallerKind.CLIENT, "c", "h", Scopes.parse("person.self")),
            "p1",
            PermissionDeniedError,
            "SCOPE_MISSING",
        ),
    ],
)
def test_questions_that_are_refused(caller, person_id, error, reason):
    with pytest.raises(error) as refusal:
        views.question(caller, person_id)
    assert refusal.value.reason == reason


def test_a_citizen_is_not_shown_who_else_a_call_touched():
    own = frozenset({"person/p1", "registration/r1"})
    alone = views.shown(("p1",), ("r1",), own)
    assert alone == Shown(("p1",), ("r1",), are_resources_shown=True)
    together = views.shown(("p1", "p2"), ("r1", "r2"), own)
    assert together == Shown(("p1",), ("r1",), are_resources_shown=False)
    assert views.shown(("p1", "p2"), ("r1", "r2"), None) == Shown(("p1", "p2"), ("r1", "r2"), are_resources_shown=True)
