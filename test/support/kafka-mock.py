"""librdkafka's mock cluster, with one broker. Prints its address; takes a command a line on stdin:
topic NAME PARTITIONS | error API_KEY CODE COUNT. Answers each with "ok". Ends with stdin."""
import ctypes
import sys

lib = ctypes.CDLL("librdkafka.so.1")
for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
    getattr(lib, name).restype = ctypes.c_void_p
lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
said = ctypes.create_string_buffer(512)
client = lib.rd_kafka_new(0, ctypes.c_void_p(lib.rd_kafka_conf_new()), said, 512)
cluster = ctypes.c_void_p(lib.rd_kafka_mock_cluster_new(ctypes.c_void_p(client), 1))
print(lib.rd_kafka_mock_cluster_bootstraps(cluster).decode(), flush=True)
for line in sys.stdin:
    command, *rest = line.split()
    if command == "topic":
        lib.rd_kafka_mock_topic_create(cluster, rest[0].encode(), int(rest[1]), 1)
    elif command == "error":
        count = int(rest[2])
        errors = (ctypes.c_int * count)(*[int(rest[1])] * count)
        key = ctypes.c_int16(int(rest[0]))
        lib.rd_kafka_mock_push_request_errors_array(cluster, key, ctypes.c_size_t(count), errors)
    print("ok", flush=True)
