package migrate

import (
	"errors"
	"fmt"

	"github.com/alecthomas/kong"
)

// schemaFlag is --schema NAME, and for wait also --schema alone, which the scripts of
// deploys use.
type schemaFlag struct {
	name  string
	given bool
}

// Decode takes the next word as the name unless it is a flag.
func (f *schemaFlag) Decode(ctx *kong.DecodeContext) error {
	f.given = true
	next := ctx.Scan.Peek()
	if next.IsEOL() || (!next.IsValue() && next.Type != kong.UntypedToken) {
		return nil
	}
	text, ok := next.Value.(string)
	if next.Type == kong.UntypedToken && (!ok || text == "" || text[0] == '-') {
		return nil
	}
	ctx.Scan.Pop()
	f.name = fmt.Sprint(next.Value)
	return nil
}

// placeSchema passes the flag to wait. Any other command refuses it without a name.
func (g *grammar) placeSchema(command string) error {
	g.Wait.Schema = g.Schema.given
	if g.Schema.given && g.Schema.name == "" && command != "wait" {
		return errors.New("--schema needs a name: --schema NAME")
	}
	return nil
}
