"""Directories of every kind: valid, live, torn, damaged, tampered with, with gaps, of many incarnations, compressed."""

from tests.agreement import corpus_damaged, corpus_declared, corpus_sound, corpus_tampered, corpus_torn

CASES = corpus_sound.CASES | corpus_damaged.CASES | corpus_tampered.CASES | corpus_torn.CASES | corpus_declared.CASES
"""What makes each case, by its name."""
