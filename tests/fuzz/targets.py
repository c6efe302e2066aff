"""All targets, by name."""

from __future__ import annotations

from fuzz import dns_target, media_targets, program_targets, sip_targets
from fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (sip_targets, dns_target, media_targets, program_targets)
    for target in module.TARGETS
}
