"""Signs leads by the guide and sends them, with nothing but the standard library.

A line on standard input is a JSON object: secret, body (hex) and at (unix seconds), which are signed; url, ca (a file)
and sent (hex: the body that goes over the wire). The answer: timestamp and signature, status and answer. Without url the
lead is only signed.
"""

import hashlib
import hmac
import json
import ssl
import sys
import urllib.error
import urllib.request


def sign(secret, timestamp, body):
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def send(job, timestamp, signature):
    headers = {
        "Content-Type": "application/json",
        "X-AgentFlow-Timestamp": timestamp,
        "X-AgentFlow-Signature": signature,
    }
    request = urllib.request.Request(job["url"], bytes.fromhex(job["sent"]), headers)
    trust = ssl.create_default_context(cafile=job["ca"])
    try:
        with urllib.request.urlopen(request, context=trust) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


for line in sys.stdin:
    job = json.loads(line)
    timestamp = str(job["at"])
    signature = sign(job["secret"], timestamp, bytes.fromhex(job["body"]))
    status, answer = send(job, timestamp, signature) if job.get("url") else (None, None)
    print(json.dumps({"timestamp": timestamp, "signature": signature, "status": status, "answer": answer}))
