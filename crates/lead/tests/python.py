"""What Python's json makes of the bodies on standard input, and whether it reads them as agentflow-lead did.

A line is a JSON object: body (hex), and lead if agentflow-lead took it for one: its fields as texts and as JSON. The answer is
a line: accepts; reasons, which are those of the contract for refusing what Python accepts; differs, which names what Python
reads otherwise.
"""

import json
import sys

BODY_BYTES_MAX = 262_144
DEPTH_MAX = 32
KEYS_MAX = 256
TEXTS = ["name", "email", "company", "message", "source"]
WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)


class Number(tuple):
    """A number as it is written: every digit counts. No str, which would be equal to a text of the same digits."""


class Constant(tuple):
    """NaN, Infinity or -Infinity."""


class Pairs(tuple):
    """An object, before any of its keys is lost."""


def parse(text):
    def number(digits):
        return Number([digits])

    return json.loads(
        text,
        object_pairs_hook=Pairs,
        parse_int=number,
        parse_float=number,
        parse_constant=lambda name: Constant([name]),
    )


def walk(value, reasons, depth=1):
    if isinstance(value, (Pairs, list)) and depth > DEPTH_MAX:
        reasons.add("depth")
    if isinstance(value, Constant):
        reasons.add("constant")
    elif isinstance(value, str):
        if "\0" in value:
            reasons.add("nul")
        if any("\ud800" <= character <= "\udfff" for character in value):
            reasons.add("surrogate")
    elif isinstance(value, Pairs):
        keys = [key for key, _ in value]
        if len(keys) > KEYS_MAX:
            reasons.add("keys")
        if len(set(keys)) < len(keys):
            reasons.add("repeated_key")
        for key, member in value:
            walk(key, reasons, depth + 1)
            walk(member, reasons, depth + 1)
    elif isinstance(value, list):
        for item in value:
            walk(item, reasons, depth + 1)


def reasons_of(body, value):
    reasons = set()
    if len(body) > BODY_BYTES_MAX:
        reasons.add("size")
    if body.startswith((b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe")):
        reasons.add("mark")
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        reasons.add("encoding")
    # json.loads takes UTF-16 and UTF-32 for JSON, too; without a mark, of ASCII, they are UTF-8 full of NUL.
    if b"\0" in body:
        reasons.add("nul")
    if not isinstance(value, Pairs):
        reasons.add("no_object")
    walk(value, reasons)
    return sorted(reasons)


def differences(value, lead):
    ours, theirs = lead, dict(value)
    others = {key: theirs[key] for key in theirs if key not in {*TEXTS, "timestamp"}}
    found = [] if dict(parse(ours["fields"])) == others else ["fields"]
    for key in TEXTS:
        text = theirs.get(key)
        if key in ("name", "email"):
            text = text.strip(WHITE_SPACE)
        # Null or blank is absent to us.
        if ours[key] is None:
            same = text is None or not any(character.isalnum() for character in text)
        else:
            same = ours[key] == text
        if not same:
            found.append(key)
    return found


def judge(case):
    body = bytes.fromhex(case["body"])
    try:
        value = parse(body)
    except (ValueError, RecursionError):
        return {"accepts": False, "reasons": [], "differs": []}
    differs = differences(value, case["lead"]) if case["lead"] else []
    return {"accepts": True, "reasons": reasons_of(body, value), "differs": differs}


for line in sys.stdin:
    print(json.dumps(judge(json.loads(line))))
