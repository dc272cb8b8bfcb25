package main

import (
	"strings"
	"time"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/api/apitest"
)

// What the canned node knows. The keys are those of BOLT 3's and BOLT 11's examples.
const (
	nodeKey     = "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad"
	peerKey     = "02e89ca9e8da72b33d896bae51d20e7e6675aa971f7500500b591b15429e717870"
	paymentHash = "0001020304050607080900010203040506070809000102030405060708090102"
	fundingTxid = "8984484a580b825b9972d7adb15050b3ab624ccd731946b3eeddb92f4e7ef6be"
	bolt11      = "lnbc20m1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcy" +
		"q5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqhp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy" +
		"043l2ahrqs9qrsgq7ea976txfraylvgzuxs8kgcw23ezlrszfnh8r6qtfpr6cxga50aj6txm9rxrydzd06dfeawfk" +
		"6swupvz4erwnyutnjq7x39ymw6j38gp7ynn44"
)

func at(second int) api.Time {
	return api.At(time.Date(2026, 1, 2, 3, 4, second, 5_000_000, time.UTC))
}

// cannedNode has something to show for every command.
func cannedNode() *apitest.Node {
	invoice := api.Invoice{
		Bolt11: bolt11, PaymentHash: paymentHash, AmountMsat: api.SomeMsat(2_000_000_000),
		ExpiresAt: at(59),
	}
	payment := api.Payment{
		PaymentHash: paymentHash, Status: api.PaymentSettled, Preimage: strings.Repeat("01", 32),
		AmountMsat: 2_000_000_000, FeeMsat: 1_001, Parts: 2,
	}
	return &apitest.Node{
		InfoAnswer: api.Info{
			NodeID: nodeKey, Alias: "carol\x1b[2J", Network: "regtest", Version: "v0.1.0",
			BlockHeight: 123_456, SyncedToChain: true, URIs: []string{nodeKey + "@192.0.2.1:9735"},
			Peers: 3, Channels: api.ChannelCounts{Active: 2, Inactive: 1},
			LSP: api.LSPInfo{Enabled: true, Protocols: []int{2}},
		},
		AddressAnswer: api.Address{Address: "bcrt1qexample"},
		BalanceAnswer: api.Balance{
			ConfirmedSat: 1_234_567, UnconfirmedSat: 890, LeasedSat: 100_000,
			ReservedSat: 20_000, SpendableSat: 1_115_457,
		},
		UtxosAnswer: api.Utxos{Utxos: []api.Utxo{
			{Outpoint: fundingTxid + ":1", AmountSat: 1_234_567, Address: "bcrt1qone",
				Confirmations: 1_440},
			{Outpoint: fundingTxid + ":0", AmountSat: 890, Address: "bcrt1qtwo", Leased: true},
		}},
		TxAnswer: api.Transaction{Txid: fundingTxid},
		PeersAnswer: api.PeerList{Peers: []api.Peer{
			{NodeID: peerKey, Address: "192.0.2.2:9735", Channels: 1},
			{NodeID: nodeKey, Address: "[2001:db8::1]:40000", Inbound: true},
		}},
		ChannelsAnswer: cannedChannels(),
		InvoicesAnswer: api.InvoiceList{Invoices: []api.InvoiceEntry{
			{Invoice: invoice, State: api.InvoiceSettled, Description: "tea\nand biscuits",
				ReceivedMsat: 1_999_000_000, CreatedAt: at(1), SettledAt: at(2)},
			{Invoice: api.Invoice{PaymentHash: paymentHash}, State: api.InvoiceOpen,
				CreatedAt: at(0)},
		}},
		PayAnswer: payment,
		PaymentsAnswer: api.PaymentList{Payments: []api.PaymentEntry{
			{Payment: payment, Payee: peerKey, CreatedAt: at(3)},
			{Payment: api.Payment{PaymentHash: paymentHash, Status: api.PaymentFailed,
				Failure: "unknown_next_peer", AmountMsat: 7}, Payee: peerKey, CreatedAt: at(1)},
		}},
		Sales: apitest.Sales{
			Menu: api.Menu{
				OpeningFeeParamsMenu: []api.OpeningFeeParams{cannedOffer()},
				ClosedReason:         "no channel can be opened now",
			},
			Quote: cannedQuote(),
			Lives: api.Lifetimes{CloseUnpaidAfterSeconds: 7200, Channels: []api.Lifetime{{
				ChannelPoint: fundingTxid + ":1", OrderID: "order-1", Client: peerKey, Paid: true,
				DepthBlocks: 12, MinLifetimeBlocks: 4320, IdleBlocks: 3, Ending: "none",
				Reason: "paid for 4320 blocks, of which 12 are over",
			}}},
			Orders: api.OrderList{Orders: []api.Order{cannedOrder(), cannedDeadOrder()}},
			Order:  cannedOrder(),
			JIT: api.JITInvoice{Invoice: invoice, OpeningFeeMsat: api.SomeMsat(8_000_000),
				JitChannelScid: "16000000x7x1"},
			Open:  api.OpenResponse{ChannelPoint: fundingTxid + ":0", FundingTxid: fundingTxid},
			Close: api.CloseResponse{ClosingTxid: fundingTxid},
			Gate:  cannedAdmission(),
			Backup: api.BackupReport{
				File: "/mnt/channels.backup", WrittenAt: at(4), Network: "regtest", NodeID: nodeKey,
				Orders: 7, Channels: []api.BackupChannel{
					{ChannelPoint: fundingTxid + ":0", Peer: peerKey, CapacitySat: 5_000_000,
						Addresses: []string{"192.0.2.2:9735"}},
					{ChannelPoint: fundingTxid + ":1", Peer: nodeKey, CapacitySat: 20_000,
						Addresses: []string{}},
				},
			},
		},
	}
}

func cannedChannels() api.ChannelList {
	return api.ChannelList{Channels: []api.Channel{
		{ChannelPoint: fundingTxid + ":0", Scid: "700123x45x0", Aliases: []string{"16000000x7x1"},
			Peer: peerKey, CapacitySat: 5_000_000, LocalMsat: 4_990_000_123, RemoteMsat: 9_999_877,
			Private: true, ZeroConf: true, Confirmed: true, Active: true, ChannelType: "anchors",
			OrderID: "order-1", State: api.ChannelOpen},
		{ChannelPoint: fundingTxid + ":1", Aliases: []string{"16000000x8x1"}, Peer: nodeKey,
			CapacitySat: 20_000, RemoteMsat: 20_000_000, ChannelType: "static_remote_key",
			State: api.ChannelOpening},
	}}
}

func cannedOffer() api.OpeningFeeParams {
	return api.OpeningFeeParams{
		MinFeeMsat: 2_000_000, Proportional: 4000, ValidUntil: "2026-01-02T04:04:05.000Z",
		MinLifetime: 4320, MaxClientToSelfDelay: 2016, MinPaymentSizeMsat: 10_000_000,
		MaxPaymentSizeMsat: 4_000_000_000,
	}
}

func cannedQuote() api.Quote {
	return api.Quote{
		AmountMsat: 100_000_000, Parts: 3, OpeningFeeParams: cannedOffer(),
		Fee: api.QuoteFee{
			ConfiguredMinFeeMsat: 2_000_000, ChainWeight: 659, FeerateSatPerKw: 2525,
			MarginPpm: 1_500_000, ChainMinFeeMsat: 2_496_000, MinFeeMsat: 2_000_000,
			ProportionalMsat: 400_000, OpeningFeeMsat: 2_000_000,
		},
		ClientReceivesMsat: 98_000_000,
		Channel: api.QuoteChannel{
			ForwardSat: 98_000, ReserveSat: 1_082, AnchorsSat: 660, CommitmentFeeSat: 9_060,
			SpareSat: 49_000, CapacitySat: 157_802,
		},
		FundingFeeSat: 1_664, AtRiskSat: 159_466, ProfitMsat: 336_000,
		Refusal: &api.QuoteRefusal{Code: 203, Message: "a payment of this size cannot reach us now"},
	}
}

func cannedOrder() api.Order {
	return api.Order{
		ID: "order-1", Client: peerKey, State: api.Paid, Sale: api.Sale{
			JitChannelScid: "16000000x7x1", PaymentSizeMsat: api.SomeMsat(2_000_000_000),
			OpeningFeeMsat: api.SomeMsat(8_000_000), OpeningFeeParams: cannedOffer(),
			PaymentHash: paymentHash,
		},
		ChannelPoint: fundingTxid + ":0", FundingTxid: fundingTxid, Token: "shop", CreatedAt: at(0),
		Parts: []api.Part{{IncomingScid: "700000x1x0", HtlcID: 12, AmountMsat: 2_000_000_000,
			ExtraFeeMsat: 8_000_000, ExpiryHeight: 123_600, State: "claimed"}},
		Timeline: []api.Moment{
			{Stage: api.StageBought, At: at(0)}, {Stage: api.StageFirstPart, At: at(1)},
			{Stage: api.StageSettled, At: at(2), Ms: 1_000},
		},
	}
}

func cannedDeadOrder() api.Order {
	return api.Order{
		ID: "order-0", Client: peerKey, State: api.Dead, CreatedAt: at(0), Deadline: at(30),
		Sale: api.Sale{JitChannelScid: "16000000x6x1", OpeningFeeParams: cannedOffer()},
		Failure: &api.OrderFailure{
			Code: "temporary_channel_failure", Reason: "the client did not come",
		},
	}
}

func cannedAdmission() api.Admission {
	return api.Admission{
		Policy: api.TrustAuto, ClientsTrustLSP: true, RecentUnpaid: 10, TrustFrom: 10,
		TrustUntil: 5, WaitingOpenings: 1,
		All: api.Account{
			OpenOrders: 12, UnderWay: 2, Unpaid: 11, OpensToday: 345, AtRiskSat: 5_600_000,
		},
		Clients: []api.ClientAccount{
			{Client: peerKey, Account: api.Account{Unpaid: 2, AtRiskSat: 1_000_000, OpensToday: 2},
				MustTrust: "too many unpaid channels of yours"},
			{Client: nodeKey, Account: api.Account{OpenOrders: 1, OpensToday: 50},
				Refused: "too many channels of yours were opened within a day: try again later"},
		},
		Tokens: []api.TokenAccount{{Token: "shop\x1b[2J", Account: api.Account{Unpaid: 1}}},
	}
}
