"""`python -m tests.support.audit`: known vulnerabilities in the pinned versions. Prints SKIPPED without a service.

The service is OSV. With the service of PyPI, a package mirror that answers 404 would count as "no vulnerability found".
"""

import json
import subprocess
import sys

COMMAND = (
    "pip-audit -r requirements/run.txt -r requirements/telemetry.txt -r requirements/s3.txt "
    "--disable-pip --no-deps -s osv -f json --progress-spinner off --timeout 5"
)
SECONDS = 180


def main() -> int:
    try:
        done = subprocess.run(COMMAND.split(), capture_output=True, text=True, timeout=SECONDS)
        status, sentence = verdict(done.stdout)
    except subprocess.TimeoutExpired:
        status, sentence = verdict("")
    print(sentence)
    return status


def verdict(report: str) -> tuple[int, str]:
    """The exit status and the text to print, from a JSON report. It is empty if the service cannot be reached."""
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        packages = []
    asked = [package for package in packages if "vulns" in package]
    if not asked:
        return 0, "SKIPPED: known holes were not looked for, the service (api.osv.dev) cannot be reached from here"
    found = [
        f"{package['name']} {package['version']}: {hole['id']}, fixed in {' or '.join(hole['fix_versions']) or 'none'}"
        for package in asked
        for hole in package["vulns"]
    ]
    unknown = f"; {len(packages) - len(asked)} could not be asked about" if len(asked) < len(packages) else ""
    return bool(found), "\n".join(found) or f"No known holes in {len(asked)} packages{unknown}"


if __name__ == "__main__":
    sys.exit(main())
