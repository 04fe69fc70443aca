"""A process and its children: who starts them, who ends them, who says that they are ready.

child         one supervised process: its own process group, its log, its end
parent_death  runs a command that dies with its parent
guard         kills what a dead supervisor left behind, its children's children too
readiness     how a part says that it is at work
pulse         whether a part that runs still answers
memory        how much memory the processes of a group hold
host          this machine's name, for names of processes that no other machine may have
"""
