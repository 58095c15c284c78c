#!/usr/bin/env python3
"""Adds io_uring to a container runtime's seccomp profile: `allow-io-uring.py <default.json >fanstorm.json`.

The result allows what the default does and three system calls more. For
`docker run --security-opt seccomp=fanstorm.json`, or a node's folder of Localhost profiles.
"""

import json
import sys

NAMES = ["io_uring_setup", "io_uring_enter", "io_uring_register"]

profile = json.load(sys.stdin)
if "syscalls" not in profile:
    sys.exit("standard input is no seccomp profile: it has no `syscalls`")
allowed = {
    name
    for rule in profile["syscalls"]
    if rule.get("action") == "SCMP_ACT_ALLOW" and not rule.get("includes") and not rule.get("args")
    for name in rule.get("names", [])
}
missing = [name for name in NAMES if name not in allowed]
if missing:
    profile["syscalls"].append({"names": missing, "action": "SCMP_ACT_ALLOW"})
json.dump(profile, sys.stdout, indent=1)
print()
