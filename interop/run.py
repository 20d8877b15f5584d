"""Both directions of the wire against code that nobody here wrote: run.py SERVER VERIFIER NODE_MODULES LEADS.

Senders in Python and Node, which have the guide and nothing of this project, send leads to the real server. The events that
come of them are judged as they were received, and with a byte changed, by the guide's pseudocode in both languages, by the
Standard Webhooks project's verifiers for Python, Node and Rust, and by this project's own.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stack import EVENT_TYPES, Receiver, Server

HERE = Path(__file__).parent
ROOT = HERE.parent
EVENT_SECONDS_MAX = 60

MESSAGES = [
    "We want to replace a manual process this quarter; a budget of $50k is approved. Pricing and a demo, please?",
    "Tell me more about the product, please.",
    "Dear webmaster, we offer SEO services, cheap backlinks and casino guest posts with no risk at all.",
    "Größe: 40 Plätze — 日本語 🦀, \"quoted\", \\ and \t",
]


def main(server_binary, rust_verifier, node_modules, leads):
    leads = int(leads)
    table = Table()
    senders = {"Python": ["python3", HERE / "send.py"], "Node": ["node", HERE / "send.cjs"]}
    rust = [rust_verifier]
    verifiers = {
        "guide's pseudocode, Python": ["python3", ROOT / "crates/signature/tests/guide.py"],
        "guide's pseudocode, Node": ["node", HERE / "verify_guide.cjs"],
        "standardwebhooks, Python": [sys.executable, HERE / "verify_standard.py"],
        "standardwebhooks, Node": ["node", HERE / "verify_standard.cjs"],
        "standardwebhooks, Rust": [*rust, "standardwebhooks"],
        "agentflow-signature": [*rust, "agentflow"],
    }
    os.environ["NODE_PATH"] = node_modules
    check_vectors(table, senders)
    with tempfile.TemporaryDirectory(prefix="agentflow-") as folder:
        receiver = Receiver(folder)
        with Server(server_binary, folder, receiver.certificate) as server:
            server.send_events_to(receiver.url)
            sent = [documented_lead(table, server)]
            signed = []
            for language, command in senders.items():
                bodies = [lead(language, number) for number in range(leads)]
                signed += [(language, *one) for one in send(table, language, command, server, bodies)]
                sent += bodies
            events = receive(table, receiver, sent)
    judge_events(table, verifiers, events, server.told)
    for who in list(verifiers)[:2] + ["agentflow-signature"]:
        judge_signed(table, who, verifiers[who], signed, server.told["inbound_secret"])
    return table.end()


class Table:
    """What accepted how much of what, and whether it was to."""

    def __init__(self):
        self.rows = []

    def add(self, who, what, accepted, count, expected):
        """`expected`: how many are to be accepted."""
        self.rows.append((who, what, f"{accepted} of {count}", "ok" if accepted == expected and count else "MISMATCH"))

    def end(self):
        """Prints it; the exit code."""
        rows = [("who judges", "what", "accepted", ""), *self.rows]
        widths = [max(len(row[at]) for row in rows) for at in range(4)]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        wrong = sum(row[3] != "ok" for row in self.rows)
        print(f"{len(self.rows) - wrong} passed, {wrong} failed")
        return 1 if wrong else 0


def lead(language, number):
    """The bytes of a lead, in the many ways in which JSON may be written: what is signed is none of them but as sent."""
    fields = {
        "name": "Jordan Ellis",
        "email": f"jordan.{language.lower()}.{number}@stacklane.co",
        "company": "Stacklane",
        "message": MESSAGES[number % len(MESSAGES)],
        "source": "website_contact_form",
        "seats": 1.5,
    }
    styles = [{}, {"ensure_ascii": False}, {"indent": 2}, {"separators": (",", ":"), "ensure_ascii": False}]
    text = json.dumps(fields, **styles[number // len(MESSAGES) % len(styles)])
    return (text.replace("\n", "\r\n") + " \n" * (number % 2)).encode()


def answers(command, requests):
    """One answer a request, from a program that reads and writes lines of JSON."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, encoding="utf-8", check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    if len(found) != len(requests):
        raise SystemExit(f"{command}: {len(found)} answers to {len(requests)} requests")
    return found


def changed(content, at):
    """With the lowest bit of one byte turned over: what is UTF-8 here stays UTF-8, which the guide's pseudocode demands."""
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def check_vectors(table, senders):
    cases = json.loads((ROOT / "crates/signature/vectors/sign.json").read_text())["cases"]
    jobs = [{"secret": case["secret"], "at": case["timestamp"], "body": case["body_hex"]} for case in cases]
    for language, command in senders.items():
        same = sum(one["signature"] == case["signature"] for one, case in zip(answers(command, jobs), cases))
        table.add(f"sender in {language}", "signs as crates/signature/vectors say", same, len(cases), len(cases))


def documented_lead(table, server):
    """Sends one by the Python of docs/inbound.md, as it stands there."""
    page = (ROOT / "docs/inbound.md").read_text()
    documented = {}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1), documented)
    os.environ["SSL_CERT_FILE"] = server.told["certificate_path"]
    fields = json.loads(lead("documentation", 0))
    answer = documented["send"](server.told["inbound_url"], server.told["inbound_secret"], fields)
    del os.environ["SSL_CERT_FILE"]
    table.add("server", "lead by docs/inbound.md's Python", int(answer["status"] == "received"), 1, 1)
    return json.dumps(fields).encode()


def send(table, language, command, server, bodies):
    """Sends leads that are right and that are not; answers the right ones' bodies, timestamps and signatures."""
    told = server.told

    def attempts(what, status, reason, secret="inbound_secret", later=0, alter=lambda body: body):
        at = int(time.time()) + later
        jobs = [
            {"url": told["inbound_url"], "ca": told["certificate_path"], "secret": told[secret], "at": at}
            | {"body": body.hex(), "sent": alter(body).hex()}
            for body in bodies
        ]
        found = answers(command, jobs)
        right = sum(
            one["status"] == status and reason in (one["answer"].get("status"), one["answer"].get("reason"))
            for one in found
        )
        accepted = sum(one["status"] in (200, 202) for one in found)
        expected = len(bodies) if status in (200, 202) else 0
        table.add("server", f"lead from {language}, {what}: {status} {reason}", accepted, len(bodies), expected)
        if right != len(bodies):
            table.add("server", f"lead from {language}, {what}: answered otherwise", len(bodies) - right, len(bodies), 0)
        return found

    attempts("a byte changed", 401, "invalid_signature", alter=lambda body: changed(body, len(body) // 2))
    attempts("signed with the other secret", 401, "invalid_signature", secret="outbound_secret")
    attempts("signed ten minutes ago", 401, "stale_timestamp", later=-600)
    attempts("signed in ten minutes", 401, "future_timestamp", later=600)
    right = attempts("as signed", 202, "received")
    attempts("sent again", 200, "received")
    return [(body, one["timestamp"], one["signature"]) for body, one in zip(bodies, right)]


def receive(table, receiver, sent):
    """The events of these leads, each with every lead's message as it was sent."""
    events = receiver.wait_for(len(sent), EVENT_SECONDS_MAX)
    messages = {fields["email"]: fields["message"] for fields in map(json.loads, sent)}
    arrived = {}
    for headers, body in events:
        event = json.loads(body)
        arrived[event["data"]["lead"]["email"]] = event["data"]["lead"]["message"]
        once = [name.lower() for name, _ in headers]
        if any(once.count(name) != 1 for name in ["x-agentflow-timestamp", "x-agentflow-signature", "webhook-id"]):
            raise SystemExit(f"{event['id']}: {once}")
    table.add("receiver", "events, with the message that was sent", len(arrived.items() & messages.items()), len(sent), len(sent))
    types = {json.loads(body)["type"] for _, body in events}
    table.add("receiver", "types of event", len(types), len(EVENT_TYPES), len(EVENT_TYPES))
    return events


def judge_events(table, verifiers, events, told):
    as_received = [as_request(headers, body, told["outbound_secret"]) for headers, body in events]
    # A byte of each, another place in each; of the first three, every byte.
    everywhere = [(at, place) for at in range(3) for place in range(len(events[at][1]))]
    body_changed = [
        as_received[at] | {"body": changed(events[at][1], place).hex()}
        for at, place in everywhere + [(at, at * 7 % len(body)) for at, (_, body) in enumerate(events)]
    ]
    cases = {
        "event as received": (as_received, True),
        "event, a byte of the body changed": (body_changed, False),
        "event, a digit of the timestamp changed": ([alter_timestamp(one) for one in as_received], False),
        "event, a digit of the signature changed": ([alter_signature(one) for one in as_received], False),
        "event, by the other secret": ([one | {"secret": told["inbound_secret"]} for one in as_received], False),
    }
    for who, command in verifiers.items():
        for what, (requests, right) in cases.items():
            accepted = sum(answers(command, requests))
            table.add(who, what, accepted, len(requests), len(requests) if right else 0)
        if who.startswith("standardwebhooks"):
            requests = [alter_header(one, "webhook-id", 4) for one in as_received]
            table.add(who, "event, a digit of the id changed", sum(answers(command, requests)), len(requests), 0)


def as_request(headers, body, secret):
    values = {name.lower(): value for name, value in headers}
    return {
        "secret": secret,
        "timestamp": values["x-agentflow-timestamp"],
        "signature": values["x-agentflow-signature"],
        "body": body.hex(),
        "now": int(time.time()),
        "headers": {name: value for name, value in values.items() if name.startswith("webhook-")},
    }


def alter_header(request, name, at):
    value = another_digit(request["headers"][name], at)
    return request | {"headers": request["headers"] | {name: value}}


def another_digit(text, at):
    """With another digit at this place, of decimals as of hex and base64."""
    return text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1 :]


def alter_timestamp(request):
    last = len(request["timestamp"]) - 1
    altered = request | {"timestamp": another_digit(request["timestamp"], last)}
    return alter_header(altered, "webhook-timestamp", last)


def alter_signature(request):
    altered = request | {"signature": another_digit(request["signature"], len("sha256="))}
    return alter_header(altered, "webhook-signature", len("v1,"))


def judge_signed(table, who, command, signed, secret):
    """What others signed. The guide knows one scheme for both directions, and so does the verifier that is asked."""
    for language in dict.fromkeys(one[0] for one in signed):
        requests = [
            {"secret": secret, "timestamp": timestamp, "signature": signature}
            | {"body": body.hex(), "now": int(time.time()), "headers": {}}
            for by, body, timestamp, signature in signed
            if by == language
        ]
        altered = [
            one | {"body": changed(bytes.fromhex(one["body"]), number * 7 % (len(one["body"]) // 2)).hex()}
            for number, one in enumerate(requests)
        ]
        table.add(who, f"lead signed in {language}", sum(answers(command, requests)), len(requests), len(requests))
        table.add(who, f"lead signed in {language}, a byte changed", sum(answers(command, altered)), len(altered), 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
