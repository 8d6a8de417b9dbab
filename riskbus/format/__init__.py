"""The format of the audit log as pure functions on bytes: records, hashes, checkpoints, names.

What docs/format.md specifies lives here and nothing else: no files, no threads, no clock.
"""
