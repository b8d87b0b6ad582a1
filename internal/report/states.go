package report

// state is one answer at the head of the report to the question whether the trail can be
// relied on.
type state struct {
	Name, Text string
	Level      level
}

// level is the class of a state. It has a colour and a sign.
type level string

const (
	good   level = "good"
	bad    level = "bad"
	unsure level = "unsure" // not known, or a claim that was not verified
)

func states(data Data, account account, seal sealed) []state {
	return []state{
		{"Completeness", account.Verdict, completenessLevel(data)},
		{"Gaps", lossesText(data), gapsLevel(data)},
		{"Sealing", seal.Verdict, sealingLevel(data.Sealing)},
		{"Guards", data.Guards.String(), data.Guards.level()},
	}
}

func completenessLevel(data Data) level {
	switch {
	case data.Completeness == nil:
		return unsure
	case data.Completeness.Complete():
		return good
	default:
		return bad
	}
}

func gapsLevel(data Data) level {
	switch {
	case data.GapsUnread:
		return unsure
	case len(data.Gaps) > 0:
		return bad
	default:
		return good
	}
}

// sealingLevel is good only if someone outside of the database vouches for the log.
func sealingLevel(found *Sealing) level {
	switch {
	case found == nil || found.Compared == nil:
		return unsure
	case len(found.Compared.Differences) > 0:
		return bad
	default:
		return good
	}
}

func (g Guards) level() level {
	switch {
	case len(g.Differences) > 0:
		return bad
	case !g.Checked || len(g.Unchecked) > 0:
		return unsure
	default:
		return good
	}
}
