// Package funding is the pure part of making a channel: what BOLT 2 demands of
// open_channel and accept_channel, which channel_type to use, which capacity is
// needed, and the funding machine of both roles.
package funding
