"""What should exist: one pure builder for each kind of object that a policy asks for.

A builder takes the policy's model and plain values and returns the object exactly as it goes into a server-side
apply: every field in it is one that the operator wants to own, and nothing else. No clock, no network, no
decision whether the object should exist at all (that is `policy`'s).
"""
