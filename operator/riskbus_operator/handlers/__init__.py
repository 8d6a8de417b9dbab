"""What happens in the cluster, and when to look: kopf's watches mark namespaces dirty, a loop for each works them off.

Events are never acted upon themselves: they may be missed, repeated or out of order, and kopf swallows their errors.
"""
