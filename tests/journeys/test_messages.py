"""Queues and topics, with real boto3: what is acknowledged is kept, what is published arrives."""

from __future__ import annotations

import base64
import hashlib
import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from colonnade.testing.server import Server, running
from journeys.team import wait_for


@pytest.fixture(scope="module")
def sqs(server: Server) -> Any:
    return server.client("sqs")


@pytest.fixture(scope="module")
def sns(server: Server) -> Any:
    return server.client("sns")


def made(sqs: Any, name: str, **attributes: str) -> str:
    url: str = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url


def received(sqs: Any, url: str, **more: Any) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = sqs.receive_message(QueueUrl=url, **more).get("Messages", [])
    return messages


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = error.value.response["Error"]["Code"]
    return code


def test_a_message_is_received_hidden_and_deleted(sqs: Any) -> None:
    url = made(sqs, "plain")
    attributes = {
        "color": {"DataType": "String", "StringValue": "red"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
        "number": {"DataType": "Number.int", "StringValue": "7"},
    }
    # boto3 itself compares the digests with what it computes.
    sent = sqs.send_message(QueueUrl=url, MessageBody="hello ü", MessageAttributes=attributes)
    (message,) = received(sqs, url, MessageAttributeNames=["All"], AttributeNames=["All"])
    assert message["MessageId"] == sent["MessageId"]
    assert message["MD5OfBody"] == hashlib.md5("hello ü".encode()).hexdigest()
    assert message["MessageAttributes"] == attributes
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert received(sqs, url) == []
    counted = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (counted["ApproximateNumberOfMessages"], counted["ApproximateNumberOfMessagesNotVisible"]) == (
        "0",
        "1",
    )
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    (again,) = received(sqs, url, AttributeNames=["ApproximateReceiveCount"])
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"
    sqs.delete_message(
        QueueUrl=url, ReceiptHandle=message["ReceiptHandle"]
    )  # the old receiving's: deletes nothing
    assert (
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"][
            "ApproximateNumberOfMessagesNotVisible"
        ]
        == "1"
    )
    sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
    emptied = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (emptied["ApproximateNumberOfMessages"], emptied["ApproximateNumberOfMessagesNotVisible"]) == (
        "0",
        "0",
    )


def test_a_long_poll_answers_as_soon_as_a_message_is_there(sqs: Any) -> None:
    url = made(sqs, "awaited")
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()
    waiting = threading.Thread(target=lambda: found.put(received(sqs, url, WaitTimeSeconds=20)))
    waiting.start()
    sqs.send_message(QueueUrl=url, MessageBody="at last")
    assert [message["Body"] for message in found.get(timeout=60)] == ["at last"]
    waiting.join()


def test_a_batch_tells_the_fate_of_each_entry(sqs: Any) -> None:
    url = made(sqs, "batched", MaximumMessageSize="1024")
    entries = [{"Id": f"m{index}", "MessageBody": f"body {index}"} for index in range(9)]
    answer = sqs.send_message_batch(
        QueueUrl=url, Entries=[*entries, {"Id": "long", "MessageBody": "x" * 1025}]
    )
    assert {each["Id"] for each in answer["Successful"]} == {f"m{index}" for index in range(9)}
    assert [(each["Id"], each["SenderFault"]) for each in answer["Failed"]] == [("long", True)]
    messages = received(sqs, url, MaxNumberOfMessages=10)
    assert sorted(message["Body"] for message in messages) == [f"body {index}" for index in range(9)]
    gone = sqs.delete_message_batch(
        QueueUrl=url,
        Entries=[{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)],
    )
    assert len(gone["Successful"]) == 9
    with pytest.raises(ClientError) as refused:
        sqs.send_message_batch(QueueUrl=url, Entries=[entries[0], entries[0]])
    assert code_of(refused) == "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"


def test_a_message_received_too_often_goes_to_the_dead_letter_queue(sqs: Any) -> None:
    dead = made(sqs, "dead")
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    url = made(sqs, "trying", RedrivePolicy=policy, VisibilityTimeout="0")
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    assert [len(received(sqs, url)) for _ in range(3)] == [1, 1, 0]
    (message,) = received(sqs, dead, AttributeNames=["DeadLetterQueueSourceArn"])
    assert message["Body"] == "poison"
    assert message["Attributes"]["DeadLetterQueueSourceArn"].endswith(":trying")
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]


def test_a_fifo_queue_keeps_the_order_of_each_group_and_drops_repetitions(sqs: Any) -> None:
    url = made(sqs, "ordered.fifo", FifoQueue="true")
    for index in range(6):
        group = "ab"[index % 2]
        sqs.send_message(
            QueueUrl=url, MessageBody=str(index), MessageGroupId=group, MessageDeduplicationId=str(index)
        )
    sqs.send_message(QueueUrl=url, MessageBody="5 again", MessageGroupId="b", MessageDeduplicationId="5")
    (first,) = received(sqs, url, MaxNumberOfMessages=1)
    assert first["Body"] == "0"
    others = received(sqs, url, MaxNumberOfMessages=10)
    assert [message["Body"] for message in others] == ["1", "3", "5"]  # group a waits for its first
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert [message["Body"] for message in received(sqs, url, MaxNumberOfMessages=10)] == ["2", "4"]


def test_what_does_not_exist_is_refused_in_awss_words(sqs: Any, sns: Any) -> None:
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as refused:
        sqs.get_queue_url(QueueName="nowhere")
    assert code_of(refused) == "AWS.SimpleQueueService.NonExistentQueue"
    with pytest.raises(sns.exceptions.NotFoundException) as missing:
        sns.publish(TopicArn="arn:aws:sns:us-east-1:123456789012:nowhere", Message="?")
    assert code_of(missing) == "NotFound"


def test_purging_and_deleting_leave_nothing(sqs: Any) -> None:
    url = made(sqs, "emptied")
    for index in range(5):
        sqs.send_message(QueueUrl=url, MessageBody=str(index))
    sqs.purge_queue(QueueUrl=url)
    assert received(sqs, url) == []
    sqs.send_message(QueueUrl=url, MessageBody="later")
    sqs.delete_queue(QueueUrl=url)
    assert received(sqs, made(sqs, "emptied")) == []


def test_a_stranger_needs_the_queues_policy(server: Server, sqs: Any) -> None:
    url = made(sqs, "guarded")
    iam = server.client("iam")
    user = iam.create_user(UserName="stranger")["User"]["Arn"]
    key = iam.create_access_key(UserName="stranger")["AccessKey"]
    theirs = server.client(
        "sqs", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )
    with pytest.raises(ClientError) as refused:
        theirs.send_message(QueueUrl=url, MessageBody="hello")
    assert "AccessDenied" in code_of(refused)
    statement = {"Effect": "Allow", "Principal": {"AWS": user}, "Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    theirs.send_message(QueueUrl=url, MessageBody="hello")
    assert [message["Body"] for message in received(sqs, url)] == ["hello"]


# Topics


def subscribed(sqs: Any, sns: Any, topic: str, name: str, **attributes: str) -> str:
    """A queue whose policy lets the topic send."""
    url = made(sqs, name)
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
    return url


def arrived(sqs: Any, url: str) -> dict[str, Any]:
    (message,) = wait_for(
        lambda: received(sqs, url, WaitTimeSeconds=5, MessageAttributeNames=["All"]),
        lambda found: bool(found),
    )
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    found: dict[str, Any] = message
    return found


def test_a_published_message_reaches_the_queues_that_want_it(server: Server, sqs: Any, sns: Any) -> None:
    topic = sns.create_topic(Name="news", Tags=[{"Key": "team", "Value": "ml"}])["TopicArn"]
    all_ = subscribed(sqs, sns, topic, "all-news")
    raw = subscribed(sqs, sns, topic, "raw-news", RawMessageDelivery="true")
    red = subscribed(sqs, sns, topic, "red-news", FilterPolicy=json.dumps({"color": ["red"]}))
    color = {"color": {"DataType": "String", "StringValue": "blue"}}
    sent = sns.publish(TopicArn=topic, Message="it is blue", Subject="color", MessageAttributes=color)
    told = json.loads(arrived(sqs, all_)["Body"])
    assert (told["Type"], told["MessageId"], told["TopicArn"]) == ("Notification", sent["MessageId"], topic)
    assert (told["Message"], told["Subject"]) == ("it is blue", "color")
    assert told["MessageAttributes"] == {"color": {"Type": "String", "Value": "blue"}}
    check_signature(told)
    message = arrived(sqs, raw)
    assert (message["Body"], message["MessageAttributes"]) == ("it is blue", color)
    color["color"]["StringValue"] = "red"
    sns.publish(TopicArn=topic, Message="it is red", MessageAttributes=color)
    assert json.loads(arrived(sqs, red)["Body"])["Message"] == "it is red"  # and not the blue one before
    assert len(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]) == 3
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsConfirmed"] == "3"
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == [{"Key": "team", "Value": "ml"}]
    sns.delete_topic(TopicArn=topic)
    assert topic not in [each["TopicArn"] for each in sns.list_topics()["Topics"]]


def check_signature(told: dict[str, Any]) -> None:
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{told[name]}\n" for name in names if name in told)
    with urlopen(told["SigningCertURL"]) as answer:
        key = x509.load_pem_x509_certificate(answer.read()).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(base64.b64decode(told["Signature"]), text.encode(), padding.PKCS1v15(), hashes.SHA1())


@pytest.fixture
def listener() -> Iterator[tuple[str, queue.SimpleQueue[dict[str, Any]], list[int]]]:
    """An HTTP subscriber: its address, what it was told, and the statuses that it answers first."""
    told: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    statuses: list[int] = []

    class Subscriber(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = statuses.pop(0) if statuses else 200
            self.send_response(status)
            self.end_headers()
            told.put({"status": status, "type": self.headers["x-amz-sns-message-type"], **json.loads(body)})

        def log_message(self, *_: Any) -> None:
            """Nothing to the console."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Subscriber) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/news", told, statuses
        server.shutdown()


def test_an_http_subscriber_confirms_and_is_told_again_after_a_failure(
    sns: Any, listener: tuple[str, queue.SimpleQueue[dict[str, Any]], list[int]]
) -> None:
    address, told, statuses = listener
    topic = sns.create_topic(Name="over-http")["TopicArn"]
    policy = json.dumps({"healthyRetryPolicy": {"numRetries": 5, "minDelayTarget": 1, "maxDelayTarget": 1}})
    pending = sns.subscribe(
        TopicArn=topic, Protocol="http", Endpoint=address, Attributes={"DeliveryPolicy": policy}
    )
    assert pending["SubscriptionArn"] == "pending confirmation"
    asked = told.get(timeout=60)
    assert (asked["type"], asked["TopicArn"]) == ("SubscriptionConfirmation", topic)
    check_signature(asked)
    with urlopen(asked["SubscribeURL"]) as answer:
        arn = json.load(answer)["SubscriptionArn"]
    assert arn.startswith(topic)
    statuses.append(503)
    sns.publish(TopicArn=topic, Message="again and again")
    found = [told.get(timeout=60), told.get(timeout=60)]
    assert [(each["status"], each["Message"]) for each in found] == [
        (503, "again and again"),
        (200, "again and again"),
    ]
    check_signature(found[1])
    with urlopen(found[1]["UnsubscribeURL"]):
        pass
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        sqs, sns = server.client("sqs"), server.client("sns")
        topic = sns.create_topic(Name="t")["TopicArn"]
        url = subscribed(sqs, sns, topic, "q", RawMessageDelivery="true")
        direct = {f"direct {index}" for index in range(20)}
        for body in sorted(direct):
            sqs.send_message(QueueUrl=url, MessageBody=body)
        published = {f"published {index}" for index in range(20)}
        for text in sorted(published):
            sns.publish(TopicArn=topic, Message=text)
        server.kill()
    with running(tmp_path / "data") as server:
        sqs = server.client("sqs")
        url = sqs.get_queue_url(QueueName="q")["QueueUrl"]
        bodies: set[str] = set()

        def look() -> set[str]:
            messages = received(sqs, url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            bodies.update(message["Body"] for message in messages)
            return bodies

        wait_for(look, lambda seen: seen == direct | published)
