// Package funding is the pure part of making a channel: the rules of BOLT 2 for open_channel and
// accept_channel, which channel_type to use, which capacity is needed, and the machines of both
// roles. It does no IO, reads no clock and draws no random numbers; chanfactory is its shell.
//
// An [Opening] goes from the wish to the stored channel. What a state is named for is what it
// awaits: the peer's message, or the answer to a command to the shell.
//
//	opener                                                              acceptor
//	AwaitReservation
//	AwaitAcceptChannel    -- open_channel ----------------------------> AwaitVerdict
//	                                                                    AwaitKeys
//	AwaitSignature       <-- accept_channel --------------------------- AwaitFundingCreated
//	AwaitIntent
//	AwaitFundingSigned    -- funding_created -------------------------> AwaitAcceptedChannel
//	AwaitChannel         <-- funding_signed --------------------------- Stored
//	Stored
//
// Before funding_created leaves, the intent is on disk; when the opener is Stored, so is the
// channel. Whatever ends an opening before that gives back what the state holds, once.
//
// A [Channel] carries a stored channel on until it is usable and confirmed, two ways that do not
// wait for each other when the channel is zero-conf:
//
//	Withheld -> Leaving -> Out -> Deep     where the funding transaction is (an acceptor's is
//	                                       Theirs), or Abandoned
//	AwaitDepth -> AwaitOpen -> AwaitChannelReady -> AwaitLink -> Usable
//
// It can be made again from the store at any time, see [Resume]. From Withheld, only a journalled
// release leads to a broadcast, and only a journalled drop to the coins' release; from Leaving and
// Out nothing leads to either.
package funding
