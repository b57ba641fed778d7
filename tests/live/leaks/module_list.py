"""A batch worker notes each job that it has done in a list of the module."""
from load import turns

EXPECT = {"kind": ["module-container"], "expression": ["sys.modules['module_list'].done"]}

done = []


class Job:
    def __init__(self, number):
        self.number = number
        self.rows = [{"row": i, "text": "row %d of job %d" % (i, number)} for i in range(4)]


def main():
    for turn in turns(300):
        job = Job(turn)
        done.append(job)
