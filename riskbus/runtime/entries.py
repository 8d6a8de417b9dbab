"""From staged bodies to lines of the file: number, hash, line."""

from binascii import b2a_base64
from hashlib import sha256

from riskbus.runtime.journal import Entry
from riskbus.runtime.staging import Staged


def make_entries(batch: list[Staged]) -> list[Entry]:
    """Return the entries for staged records, as `with_number`, `leaf_hash` and `to_line` make them, but in one step."""
    entries = []
    for seq, body, kind in batch:
        inner = body[1:-1]
        leaf = sha256(b'\x00{"seq":%d,%b}' % (seq, inner)).digest()
        line = b'{"seq":%d,%b,"hash":"%b"}\n' % (seq, inner, b2a_base64(leaf, newline=False))
        entries.append(Entry(seq, line, leaf, kind))
    return entries
