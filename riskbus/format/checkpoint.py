"""Checkpoints: signed statements of how many records there are and what their root hash is.

Sources: C2SP signed-note (c2sp.org/signed-note) and tlog-checkpoint (c2sp.org/tlog-checkpoint), Ed25519 signatures
(RFC 8032).
"""

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from riskbus.errors import FormatError
from riskbus.format.canonical import unbase64

_ED25519 = b"\x01"  # the signature type of signed-note
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_NAME = re.compile(r"[^\s+]+")
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint states.

    Attributes:
        origin: name of the log: stream, slash, incarnation.
        size: number of records.
        root: root hash of the Merkle tree over the first `size` records, 32 bytes.
        note: the signed note, as text that ends with a line feed.
    """

    origin: str
    size: int
    root: bytes
    note: str


class Signer:
    """An Ed25519 key that exists in memory only. Thread-safe.

    Attributes:
        name: of the key, and the origin of what it signs.
        verifier_key: the public key as signed-note writes it: name, key identifier, key.
    """

    def __init__(self, name: str, seed: bytes = b"") -> None:
        """Make a new key, or the one of this seed."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed) if seed else Ed25519PrivateKey.generate()
        self.name = name
        public = _ED25519 + self._key.public_key().public_bytes_raw()
        self._key_id = _key_id(name, public)
        self.verifier_key = f"{name}+{self._key_id.hex()}+{b64encode(public).decode()}"

    @property
    def seed(self) -> bytes:
        """The private key, for another process of this incarnation; goes through memory only."""
        return self._key.private_bytes_raw()

    def sign(self, size: int, root: bytes) -> Checkpoint:
        """Return the checkpoint for a tree of this size and root; its origin is the key's name."""
        text = f"{self.name}\n{size}\n{b64encode(root).decode()}\n"
        signature = b64encode(self._key_id + self._key.sign(text.encode())).decode()
        return Checkpoint(self.name, size, root, f"{text}\n— {self.name} {signature}\n")


def parse(note: str) -> Checkpoint:
    """Read a checkpoint without looking at its signatures.

    Raises:
        FormatError: it is not a checkpoint.
    """
    text, separator, signatures = note.rpartition("\n\n")
    lines = text.split("\n")
    long_enough = len(lines) >= len(("origin", "size", "root"))
    if not separator or not signatures.endswith("\n") or not long_enough or not all(lines):
        raise FormatError("not a signed note: a text, an empty line and signature lines were expected")
    origin, size, root = lines[:3]
    if not origin or not _SIZE.fullmatch(size):
        raise FormatError("not a checkpoint: its first lines are not an origin and a size")
    decoded = unbase64(root)
    if len(decoded) != sha256().digest_size:
        raise FormatError("not a checkpoint: its third line is not the base64 of a root hash")
    return Checkpoint(origin, int(size), decoded, note)


def verify(note: str, verifier_key: str) -> Checkpoint:
    """Read a checkpoint and check that this key signed it.

    Raises:
        FormatError: the note or the key is malformed, or the key did not sign the note.
    """
    name, key_id, public = parse_verifier_key(verifier_key)
    checkpoint = parse(note)
    text, _, signatures = note.rpartition("\n\n")
    if checkpoint.origin != name:
        raise FormatError(f"a checkpoint of {checkpoint.origin} and a key of {name}")
    signed = False
    for line in signatures.removesuffix("\n").split("\n"):  # no other line ends: a text may hold U+2028
        match = _SIGNATURE.fullmatch(line)
        blob = unbase64(match[2]) if match else b""
        if not match or len(blob) <= len(key_id):
            raise FormatError("a line after the empty line is no signature")
        if match[1] != name or blob[:4] != key_id:
            continue
        try:
            public.verify(blob[4:], f"{text}\n".encode())
        except InvalidSignature:
            raise FormatError("the signature is wrong") from None
        signed = True
    if not signed:
        raise FormatError(f"no signature by {name} with key {key_id.hex()}")
    return checkpoint


def parse_verifier_key(text: str) -> tuple[str, bytes, Ed25519PublicKey]:
    """Return name, key identifier and key of a verifier key.

    Raises:
        FormatError: it is malformed.
    """
    name, _, rest = text.partition("+")
    stated, _, encoded = rest.partition("+")
    public = unbase64(encoded)
    if (
        not _NAME.fullmatch(name)
        or public[:1] != _ED25519
        or len(public) != 1 + 32
        or stated != _key_id(name, public).hex()
    ):
        raise FormatError("not a verifier key: name, key identifier and Ed25519 key joined by + were expected")
    return name, bytes.fromhex(stated), Ed25519PublicKey.from_public_bytes(public[1:])


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + public).digest()[:4]
