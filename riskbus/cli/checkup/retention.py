"""How long records are kept, and whether that is long enough for those who may ask for them."""

from riskbus.cli.checkup.check import Check, Result
from riskbus.settings import AuditSettings

_FIVE_YEARS = 1826  # days, the shortest that five calendar years can be; Article 16(6) of Directive 2014/65/EU


def check_retention(settings: AuditSettings) -> Check:
    """Say what the settings keep. Pure."""
    days = settings.retention_days
    kept = f"no segment is removed before {days:,} days, nor one of the newest {settings.rotation_keep:,} closed ones"
    if days < _FIVE_YEARS:
        remedy = "set RISK_AUDIT_RETENTION_DAYS, unless a copy of everything is kept elsewhere"
        return Check("retention", Result.WARN, f"{kept}; that is less than the five years of MiFID II: {remedy}.")
    return Check("retention", Result.OK, f"{kept}.")
