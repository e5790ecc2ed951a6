# SPDX-License-Identifier: MIT
"""Messages of the Xenstore protocol over a stream socket, for tests."""
import struct


def message(kind, data, tx=0, req=1):
    return struct.pack("=IIII", kind, req, tx, len(data)) + data


def exactly(s, size):
    """MSG_WAITALL means nothing on a socket with a timeout."""
    data = b""
    while len(data) < size:
        piece = s.recv(size - len(data))
        if not piece:
            raise EOFError("the daemon closed the connection")
        data += piece
    return data


def receive(s):
    """(kind, request, transaction, length) and the data"""
    header = struct.unpack("=IIII", exactly(s, 16))
    return header, exactly(s, header[3])
