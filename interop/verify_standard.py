"""The verifier for Python of the Standard Webhooks project. The lines on standard input are those of src/main.rs."""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError


def verify(request):
    try:
        Webhook(request["secret"]).verify(bytes.fromhex(request["body"]), request["headers"])
        return True
    except WebhookVerificationError:
        return False


for line in sys.stdin:
    print(json.dumps(verify(json.loads(line))))
