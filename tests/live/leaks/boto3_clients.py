"""boto3: a client for each upload, kept by the one uploader; links are signed, nothing is sent. Each client is a class and a model of its own."""
import boto3

from load import turns

REQUIRES = ["boto3"]
EXPECT = {"kind": ["instance-attribute"], "expression": ["sys.modules['boto3_clients'].uploader.clients"]}


class Uploader:
    def __init__(self):
        self.session = boto3.session.Session(aws_access_key_id="a", aws_secret_access_key="s", region_name="eu-west-1")
        self.clients = []

    def upload(self, number):
        client = self.session.client("sts")
        link = client.generate_presigned_url("get_caller_identity", ExpiresIn=60 + number % 60)
        self.clients.append(client)
        return link


uploader = Uploader()


def main():
    for turn in turns(40, warm_up=40):
        if turn % 8 == 0:
            uploader.upload(turn)
