#!/usr/bin/env python3
"""Verifies a ledger and a proof of Sealtrail, written from docs/FORMAT.md alone: Python's standard library, and the
openssl command for Ed25519.

    verify.py LEDGER PROOF KEYS

LEDGER  folder with the segments (<data>/ledger)
PROOF   what `sealtrail prove EVENT_ID` wrote
KEYS    a key a line: <name>+<8 hex digits>+<base64>; a window behind it (origin, from, to) is respected

Exit codes: 0 all of it holds, 1 something does not, 2 it cannot be told.
"""
import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import tempfile

HEAD = b'{"event":'
ENDS = re.compile(rb',"prev_hash":"([0-9a-f]{64})","this_hash":"([0-9a-f]{64})"}')
ENDS_LENGTH = 14 + 64 + 1 + 14 + 64 + 2
HEARTBEAT = re.compile(r"sealtrail/heartbeat/v1\n[0-9TZ:.-]{20,30}\n")


class Broken(Exception):
    """What was verified is not what it says."""


class CannotTell(Exception):
    """There is not enough to tell."""


# --- section 2: canonical form (RFC 8785) ---------------------------------------------------------------------------

SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def canonical_string(text):
    text.encode("utf-8")  # a lone surrogate has no canonical form
    return '"' + "".join(SHORT.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in text) + '"'


def canonical_number(number):
    """ECMAScript's Number::toString of a double; an integer is written as it is."""
    value = float(number)
    if value == 0:
        return "0"
    sign, digits = ("-", repr(-value)) if value < 0 else ("", repr(value))
    mantissa, _, exponent = digits.partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        text = digits + "0" * (point - count)
    elif 0 < point <= 21:
        text = digits[:point] + "." + digits[point:]
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        rest = "." + digits[1:] if count > 1 else ""
        text = f"{digits[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return sign + text


def canonical(value):
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return canonical_string(value)
    if isinstance(value, (int, float)):
        return canonical_number(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(canonical_string(name) + ":" + canonical(value[name]) for name in names) + "}"


def parse_event(text):
    try:
        event = json.loads(text.decode("utf-8"))
        if canonical(event).encode("utf-8") != text:
            raise Broken("an event is not in canonical form")
        return event
    except (ValueError, RecursionError) as error:
        raise Broken(f"an event is no JSON: {error}") from error


# --- sections 3 and 4: records and chain ----------------------------------------------------------------------------


def split_record(line):
    event, ends = line[len(HEAD) : -ENDS_LENGTH], ENDS.fullmatch(line[-ENDS_LENGTH:])
    if not line.startswith(HEAD) or ends is None:
        raise Broken("a line is no record")
    return event, ends[1], ends[2]


def check_record(line):
    """The event, its prev_hash and its this_hash, both in hex."""
    text, prev_hash, this_hash = split_record(line)
    if hashlib.sha256(prev_hash + text).hexdigest().encode() != this_hash:
        raise Broken("a record does not have the hash that it states")
    return parse_event(text), prev_hash, this_hash


def check_ledger(folder):
    """Checks every record and link; this_hash of each record, by stream."""
    names = sorted(name for name in os.listdir(folder) if re.fullmatch(r"[0-9]{20}\.ndjson", name))
    if not names:
        raise CannotTell(f"{folder} holds no segment")
    streams = {}
    number = 0
    for name in names:
        if int(name[:20]) != number:
            raise Broken(f"{name} begins with another record than number {number}")
        with open(os.path.join(folder, name), "rb") as segment:
            for line in segment:
                if not line.endswith(b"\n"):
                    print(f"note: {name} ends in an unfinished line, which was never acked")
                    break
                event, prev_hash, this_hash = check_record(line[:-1])
                chain = event["chain"]
                hashes = streams.setdefault(chain["stream"], [])
                if chain["seq"] != len(hashes):
                    raise Broken(f"seq {len(hashes)} of {chain['stream']} is missing, or stands elsewhere")
                if prev_hash != (hashes[-1] if hashes else b"0" * 64):
                    raise Broken(f"seq {chain['seq']} of {chain['stream']} links to another record")
                hashes.append(this_hash)
                number += 1
    return streams


# --- section 6: trees (RFC 9162, section 2.1) -----------------------------------------------------------------------


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_of_record(this_hash):
    return sha256(b"\0", bytes.fromhex(this_hash.decode()))


def root_of(leaves):
    """Grown from the left: perfect subtrees by size, joined from the right at the end."""
    stack = []
    for leaf in leaves:
        size, node = 1, leaf
        while stack and stack[-1][0] == size:
            node = sha256(b"\1", stack.pop()[1], node)
            size *= 2
        stack.append((size, node))
    if not stack:
        return sha256()
    node = stack.pop()[1]
    while stack:
        node = sha256(b"\1", stack.pop()[1], node)
    return node


def check_inclusion(leaf, index, size, proof, root):
    """RFC 9162, section 2.1.3.2."""
    if index >= size:
        raise Broken("a leaf lies beyond the tree")
    fn, sn, node = index, size - 1, leaf
    for sibling in proof:
        if sn == 0:
            raise Broken("an inclusion proof is too long")
        if fn & 1 or fn == sn:
            node = sha256(b"\1", sibling, node)
            while fn & 1 == 0 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = sha256(b"\1", node, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0 or node != root:
        raise Broken("a leaf is not in the tree that was signed")


# --- section 6: checkpoints and keys --------------------------------------------------------------------------------


def strict_base64(text):
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("base64 that is not canonical")
    return data


def read_keys(path):
    """(name, key id) -> (public key, windows)."""
    keys = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            words = line.split("#")[0].split()
            if not words:
                continue
            name, key_id, data = words[0].split("+", 2)
            data = strict_base64(data)
            if data[0] != 1 or len(data) != 33:
                raise CannotTell(f"{path}: no Ed25519 key of a log")
            if hashlib.sha256(name.encode() + b"\n" + data).hexdigest()[:8] != key_id:
                raise CannotTell(f"{path}: a key has another id")
            origin, first, last = (words[1:] + ["*", "0", "-"][len(words) - 1 :])[:3]
            window = (origin, int(first), None if last == "-" else int(last))
            keys.setdefault((name, key_id), (data[1:], []))[1].append(window)
    return keys


def is_signed(public_key, text, signature):
    der = bytes.fromhex("302a300506032b6570032100") + public_key
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("key", "text", "signature")]
        for path, data in zip(paths, (der, text, signature)):
            with open(path, "wb") as file:
                file.write(data)
        key, message, signed = paths
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", key, "-rawin"]
        done = subprocess.run(command + ["-in", message, "-sigfile", signed], capture_output=True, check=False)
    return done.returncode == 0


def may_sign(name, windows, origin, size, keys):
    named = any(window[0] == origin for _, those in keys.values() for window in those)
    below = name.startswith("sealtrail/") and origin.startswith(name + "/")
    for of, first, last in windows:
        covers = of == origin or (of == "*" and not named and below)
        if covers and first <= size and (last is None or size < last):
            return True
    return False


def open_checkpoint(note, origin, keys):
    """Size, root and text of a signed checkpoint of this origin."""
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not note.endswith("\n"):
        raise Broken("a note has no signatures")
    text += "\n"
    lines = text.split("\n")
    if lines[0] != origin or not re.fullmatch(r"0|[1-9][0-9]{0,19}", lines[1]):
        raise Broken(f"a checkpoint is not of {origin}")
    size, root = int(lines[1]), strict_base64(lines[2])
    believed, seen = False, set()
    for line in signatures.splitlines():
        name, data = re.fullmatch("\u2014 ([^ +]+) ([A-Za-z0-9+/=]+)", line).groups()
        data = strict_base64(data)
        named = (name, data[:4].hex())
        key = keys.get(named)
        if key is None or named in seen:
            continue
        seen.add(named)
        if not is_signed(key[0], text.encode(), data[4:]):
            raise Broken(f"the signature of {name} is wrong")
        believed = believed or may_sign(name, key[1], origin, size, keys)
    if not believed:
        raise CannotTell(f"no key that may sign size {size} of {origin} has done so")
    return size, root, text


# --- section 6: the proof -------------------------------------------------------------------------------------------


def leaf_proof(value):
    return int(value["index"]), [strict_base64(one) for one in value["inclusion"]]


def check_proof(proof, streams, keys):
    record = proof["record"].encode()
    event, _, this_hash = check_record(record)
    stream, seq = event["chain"]["stream"], event["chain"]["seq"]
    size, root, text = open_checkpoint(proof["checkpoint"], stream, keys)
    inclusion = [strict_base64(one) for one in proof["inclusion"]]
    check_inclusion(leaf_of_record(this_hash), seq, size, inclusion, root)
    hashes = streams.get(stream, [])
    if len(hashes) < size:
        raise Broken(f"{size} records of {stream} were signed, and {len(hashes)} are there")
    if root_of(map(leaf_of_record, hashes[:size])) != root:
        raise Broken(f"the records of {stream} do not have the tree that was signed at size {size}")
    if hashes[seq] != this_hash:
        raise Broken("the record of the proof is another one than that of the ledger")
    print(f"proven: {event['event_id']} is seq {seq} of {stream}, under a signed checkpoint of size {size}")
    if proof["anchor"] is not None:
        check_anchor(proof["anchor"], stream, text, keys)


def check_anchor(anchor, stream, text, keys):
    origin = "/".join(stream.split("/")[:3])
    size, root, _ = open_checkpoint(anchor["checkpoint"], origin, keys)
    blinded = hmac.new(bytes.fromhex(anchor["stream_key"]), stream.encode(), hashlib.sha256).hexdigest()
    head = f"sealtrail/stream-head/v1\n{blinded}\n{hashlib.sha256(text.encode()).hexdigest()}\n"
    index, inclusion = leaf_proof(anchor)
    check_inclusion(sha256(b"\0", head.encode()), index, size, inclusion, root)
    beats = [(anchor["heartbeat"], -1)] + ([(anchor["later"], 1)] if anchor.get("later") else [])
    for beat, side in beats:
        beat_index, inclusion = leaf_proof(beat)
        if not HEARTBEAT.fullmatch(beat["leaf"]) or (beat_index - index) * side <= 0:
            raise Broken("the entry of the anchor log is not between the times that are named")
        check_inclusion(sha256(b"\0", beat["leaf"].encode()), beat_index, size, inclusion, root)
    times = [beat["leaf"].splitlines()[1] for beat, _ in beats]
    print(f"anchored: in {origin} of size {size}, not before {' and by '.join(times)}")


def main(ledger, proof_path, keys_path):
    keys = read_keys(keys_path)
    streams = check_ledger(ledger)
    for stream, hashes in streams.items():
        print(f"chain: {stream} is whole up to seq {len(hashes) - 1}")
    with open(proof_path, encoding="utf-8") as file:
        proof = json.load(file)
    if proof.get("_v") != "sealtrail/proof/v1":
        raise CannotTell(f"{proof_path} is no proof")
    check_proof(proof, streams, keys)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        main(*sys.argv[1:])
    except Broken as error:
        print(f"BROKEN: {error}")
        sys.exit(1)
    except CannotTell as error:
        print(f"cannot tell: {error}")
        sys.exit(2)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        print(f"cannot tell: {type(error).__name__}: {error}")
        sys.exit(2)
