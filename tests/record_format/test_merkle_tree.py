"""The tree is RFC 6962's, and checkpoints are C2SP's: other people's tools can check them."""

from base64 import b64decode, b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from riskbus.errors import FormatError
from riskbus.format import checkpoint
from riskbus.format.checkpoint import Signer
from riskbus.format.merkle import EMPTY_ROOT, Tree
from riskbus.format.record import leaf_hash

# The eight leaves and roots with which implementations of RFC 6962 are usually tested (Certificate Transparency).
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_roots_are_those_of_the_known_vectors() -> None:
    """Any RFC 6962 implementation computes the same."""
    tree = Tree()
    assert tree.root() == EMPTY_ROOT == sha256(b"").digest()
    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        tree.append(leaf_hash(bytes.fromhex(leaf)))
        assert tree.root().hex() == root


def _by_definition(leaves: list[bytes]) -> bytes:
    """The recursion of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + _by_definition(leaves[:split]) + _by_definition(leaves[split:])).digest()


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=70))
def test_the_growing_tree_agrees_with_the_definition(leaves: list[bytes]) -> None:
    """Remembering only the edge loses nothing."""
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    assert tree.root() == _by_definition(leaves)
    assert tree.size == len(leaves)


def test_a_note_is_made_as_signed_note_says() -> None:
    """Taken apart here by hand, from the words of c2sp.org/signed-note and c2sp.org/tlog-checkpoint."""
    signer = Signer("trading/jules/0123")
    root = sha256(b"root").digest()
    note = signer.sign(7, root).note
    text, signature = note.split("\n\n")
    assert text == f"trading/jules/0123\n7\n{b64encode(root).decode()}"
    dash, name, blob = signature.rstrip("\n").split(" ")
    assert (dash, name) == ("—", "trading/jules/0123")
    key_name, key_id, key = signer.verifier_key.split("+", 2)
    public = b64decode(key)
    assert key_name == name
    assert public[:1] == b"\x01"
    assert key_id == sha256(name.encode() + b"\n" + public).digest()[:4].hex()
    assert b64decode(blob)[:4].hex() == key_id
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(b64decode(blob)[4:], f"{text}\n".encode())


def test_a_note_of_another_implementation_is_read() -> None:
    """The example of golang.org/x/mod/sumdb/note, whose key and signature are public."""
    key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    name, key_id, public = checkpoint.parse_verifier_key(key)
    assert (name, key_id.hex()) == ("PeterNeumann", "c74f20a3")
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    blob = b64decode("x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=")
    assert blob[:4] == key_id
    public.verify(blob[4:], text.encode())


def test_a_checkpoint_is_verified_with_its_key_only() -> None:
    """Another incarnation's key proves nothing."""
    one, other = Signer("a/1"), Signer("a/1")
    note = one.sign(1, sha256(b"").digest()).note
    assert checkpoint.verify(note, one.verifier_key).size == 1
    with pytest.raises(FormatError):
        checkpoint.verify(note, other.verifier_key)


@given(st.data())
def test_no_byte_of_a_note_can_change(data: st.DataObject) -> None:
    """Whatever is flipped, the note is refused."""
    signer = Signer("a/1")
    note = signer.sign(12, sha256(b"").digest()).note.encode()
    place = data.draw(st.integers(0, len(note) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = note[:place] + bytes([note[place] ^ 1 << bit]) + note[place + 1 :]
    with pytest.raises(FormatError):
        checkpoint.verify(changed.decode("utf-8", "replace"), signer.verifier_key)


@pytest.mark.parametrize(
    "key", ["", "a", "a+b", "a+00000000+AAAA", "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy"]
)
def test_a_malformed_key_is_refused(key: str) -> None:
    """With an error, not a traceback."""
    with pytest.raises(FormatError):
        checkpoint.parse_verifier_key(key)
