#!/usr/bin/env python3
"""The upstream contract in Python: one cp, one exec, one more exec after status 137.

python.py MACHINE PLAN CA_PATH BUNDLE
"""
import hashlib
import json
import re
import shlex
import ssl
import subprocess
import sys
import time
from pathlib import Path

PEM = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def choose(plan_path):
    """The label and the certificate file that the plan picks."""
    plan = json.loads(plan_path.read_text())
    label = "egress" if plan["egress"]["routes"] else "pipelock"
    return label, plan_path.parent / plan[label]["ca_cert"]


def fingerprint(cert_path):
    (pem,) = PEM.findall(cert_path.read_text())  # exactly one
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
    return ":".join(re.findall("..", digest))


def run(*argv):
    return subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )


def check(step, done):
    if done.returncode == 0:
        return
    code, out, err = done.returncode, done.stdout.strip(), done.stderr.strip()
    end = f"exit status {code}" if code > 0 else f"signal {-code}"
    sys.exit(f"{step} failed: {end}; stdout {out!r}; stderr {err!r}")


def main(machine, plan, ca, bundle):
    try:
        label, cert = choose(Path(plan))
        print_of_ca = fingerprint(cert)
    except (OSError, ValueError, KeyError) as error:
        print(f"the plan or its certificate is of no use: {error}", file=sys.stderr)
        return 2
    check("cp", run("smolvm", "machine", "cp", str(cert), f"{machine}:{ca}"))
    ca, bundle = shlex.quote(ca), shlex.quote(bundle)
    script = (
        f"chown root:root {ca} && chmod 644 {ca} && update-ca-certificates"
        f" && openssl verify -CAfile {bundle} {ca}"
    )
    install = ("smolvm", "machine", "exec", "--name", machine, "--", "sh", "-c", script)
    step, done = "exec", run(*install)
    if done.returncode == 137:
        time.sleep(1)
        step, done = "second exec", run(*install)
    check(step, done)
    print(f"installed the {label} CA {print_of_ca}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
