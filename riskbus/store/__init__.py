"""The audit log as files: creating, appending, forcing to disk, finding and reading segments.

Everything here may block as long as the volume does and raises OSError as the kernel does. No threads and no retries
live here; what to do about a failure is the runtime's business.
"""
