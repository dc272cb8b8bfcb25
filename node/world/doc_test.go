// Package world is the order machine and the funding machine in one world, with all
// that surrounds them played by fakes: a payer, clients, a chain, coins, a disk that
// outlives crashes, and lnd's switch. It is made of tests only.
//
// The shells are played too, without their goroutines: desk_test.go and
// effects_test.go do what node/orders does, factory_test.go and channel_test.go what
// chanfactory does, switch_test.go what the switch and the links do. Whoever changes
// one of those changes its twin here.
//
// A world is driven by lines of text, and by nothing else: no clock, no lot. So a
// history is a script, what breaks a rule can be shrunk to a short one, and a script
// has one trace. docs/histories.md lists the lines, the rules, and the changes to the
// machines that the histories were seen to find.
package world
