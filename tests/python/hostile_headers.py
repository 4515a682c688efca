"""Publishes messages whose header tables no client library would write.

RabbitMQ hands them on as they are, so it is the reader that must not break.
"""

import json
import struct
import sys
from urllib.parse import urlsplit

import amqp

BODY = b"[[], {}, {}]"


def entry(name, value):
    return bytes([len(name)]) + name + value


def sized(kind, content):
    return kind + struct.pack(">I", len(content)) + content


def nested(kind, levels):
    content = b""
    for _ in range(levels):
        inner = sized(kind, content)
        content = entry(b"d", inner) if kind == b"F" else inner
    return content if kind == b"F" else entry(b"d", content)


TABLES = [
    nested(b"F", 100),
    nested(b"F", 18_000),
    nested(b"A", 20_000),
    entry(b"\xff\xfe", sized(b"S", b"name is no UTF-8")),
    # As much as a frame holds: whoever hands it on has something to add.
    entry(b"fill", sized(b"S", b"x" * 130_900)),
]


def frame(kind, channel, payload):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def main():
    url = urlsplit(sys.argv[1])
    connection = amqp.Connection(
        f"{url.hostname}:{url.port}", userid=url.username, password=url.password, virtual_host=url.path[1:]
    )
    connection.connect()
    channel = connection.channel()
    method = struct.pack(">HH", 60, 40) + b"\0\0" + b"\0" + entry(b"celery", b"") + b"\0"
    for table in TABLES:
        properties = struct.pack(">HHQH", 60, 0, len(BODY), 1 << 13) + struct.pack(">I", len(table)) + table
        frames = [(1, method), (2, properties), (3, BODY)]
        raw = b"".join(frame(kind, channel.channel_id, payload) for kind, payload in frames)
        connection.transport.sock.sendall(raw)
    # An answer: the server has them all.
    channel.queue_declare("celery", passive=True)
    connection.close()
    print(json.dumps({"sent": len(TABLES)}))


main()
