"""What people should hear of, to the plan's webhook: each alert at least once, under an id of its own.

Everything that alerts are about is a row of the warehouse already, the copies of the control topics included. So an
alert is a row that was not told yet; nothing is held in memory, and a part that is killed goes on where it stopped. A
receiver that is away is asked again, ever less often; nothing else waits for it.

alert     one alert, and what is sent of it
outbox    what is to be told, and what was: two questions to the warehouse
webhook   the receiver: one POST an alert, signed
__main__  `python -m consumers.alert`
"""
