"""The guide's verify_agentflow_signature, run over the cases on standard input.

A line is a JSON object: secret, timestamp, signature, body (hex), now. The answer is a line: true or false.
"""

import hashlib
import hmac
import json
import sys


def current_unix_time():
    return NOW


def hmac_sha256(key, message):
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()


def constant_time_compare(left, right):
    return hmac.compare_digest(left.encode(), right.encode())


def verify_agentflow_signature(request_body, timestamp, signature_header, secret):
    if abs(current_unix_time() - int(timestamp)) > 300:
        return False
    signed_content = f"{timestamp}.{request_body.decode('utf-8')}"
    expected = "sha256=" + hmac_sha256(key=secret, message=signed_content)
    return constant_time_compare(expected, signature_header)


for line in sys.stdin:
    case = json.loads(line)
    NOW = case["now"]
    verdict = verify_agentflow_signature(
        bytes.fromhex(case["body"]), case["timestamp"], case["signature"], case["secret"]
    )
    print(json.dumps(verdict))
