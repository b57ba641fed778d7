"""Failed jobs are kept with their exception; its traceback keeps the frames, and those the rows of the job."""
from load import turns

EXPECT = {"kind": ["kept-exception"], "expression": ["sys.modules['kept_exception'].failures"]}

failures = []


def convert(number):
    rows = ["row %d of job %d" % (i, number) for i in range(30)]
    if number % 2:
        raise ValueError("job %d" % number)
    return rows


def main():
    for turn in turns(250):
        try:
            convert(turn)
        except ValueError as error:
            failures.append(error)
