"""Reads a topic to its end with librdkafka's own consumer: bootstrap and topic in, a line of JSON a message out."""
import json
import sys
from confluent_kafka import Consumer, KafkaError, TopicPartition

bootstrap, topic = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.partition.eof": True})
partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
ended = set()
while len(ended) < len(partitions):
    message = consumer.poll(20)
    if message is None:
        sys.exit("no end of the topic in sight")
    if message.error():
        if message.error().code() != KafkaError._PARTITION_EOF:
            sys.exit(str(message.error()))
        ended.add(message.partition())
        continue
    headers = {name: value.decode() for name, value in message.headers() or []}
    print(json.dumps({"partition": message.partition(), "key": message.key().decode(),
                      "value": message.value().decode(), "headers": headers}))
consumer.close()
