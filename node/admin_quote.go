package node

import (
	"context"
	"errors"

	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/node/api"
)

// Quote implements api.LSP.
func (a admin) Quote(_ context.Context, r api.QuoteRequest) (*api.Quote, error) {
	if a.n.lsps.service == nil {
		return nil, errNoService
	}
	rate := chainfee.SatPerVByte(r.FeerateSatPerVb).FeePerKWeight()
	q, err := a.n.lsps.service.Quote(a.n.clock.Now(), lsp.QuoteRequest{
		Amount: lnwire.MilliSatoshi(r.AmountMsat), FeeRate: lsp.SatPerKWeight(rate),
		Parts: r.Parts, Token: r.Token,
	})
	switch {
	case errors.Is(err, lsp.ErrUnknownToken):
		return nil, &api.Error{Code: api.NotFound, Message: "there is no token " + r.Token,
			Hint: "give the name of one of the configuration's [[lsp.tokens]]"}
	case err != nil:
		return nil, invalid(err.Error(), "`inlet lsp menu` shows what is sold")
	}
	return quoteView(q), nil
}

func quoteView(q lsp.Quote) *api.Quote {
	v := &api.Quote{
		AmountMsat: api.Msat(q.Amount), Parts: q.Parts, OpeningFeeParams: feeParams(q.Item),
		Fee: api.QuoteFee{
			ConfiguredMinFeeMsat: api.Msat(q.ConfiguredMinFee), FollowsChain: q.FollowsChain,
			ChainWeight: lsp.FundingWeight, FeerateSatPerKw: uint64(q.FeeRate),
			MarginPpm: q.MarginPPM, ChainMinFeeMsat: api.Msat(q.ChainMinFee),
			MinFeeMsat: api.Msat(q.Item.MinFee), ProportionalMsat: api.Msat(q.Proportional),
			OpeningFeeMsat: api.Msat(q.Fee),
		},
		ClientReceivesMsat: api.Msat(q.Receives),
		Channel: api.QuoteChannel{
			ForwardSat: api.Sat(q.Channel.Forward), ReserveSat: api.Sat(q.Channel.Reserve),
			AnchorsSat: api.Sat(q.Channel.Anchors), CommitmentFeeSat: api.Sat(q.Channel.CommitFee),
			SpareSat: api.Sat(q.Channel.Spare), CapacitySat: api.Sat(q.Channel.Capacity),
		},
		FundingFeeSat: api.Sat(q.FundingFee), AtRiskSat: api.Sat(q.AtRisk()),
		ProfitMsat: api.Msat(max(q.Result, 0)), LossMsat: api.Msat(max(-q.Result, 0)),
	}
	if q.Refusal != "" {
		v.Refusal = &api.QuoteRefusal{Code: q.Code, Message: q.Refusal}
	}
	return v
}
