package cli

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Grammar is what a program adds to the frame.
type Grammar struct {
	// Line is the struct that kong fills in.
	Line any

	Description string

	// Version is the line that --version prints.
	Version string

	// Compact lists the commands one a line.
	Compact bool

	Vars kong.Vars
}

// Parse reads a command line. It is done if help or the version was shown.
func (p *Program) Parse(ctx context.Context, g Grammar, args []string) (parsed *kong.Context, done bool, err error) {
	const tried = "reading the command line"
	out := &checkedWriter{to: p.Stdout}
	parser, err := kong.New(g.Line,
		kong.Name(p.Name),
		kong.Description(g.Description),
		kong.Vars{"version": g.Version},
		g.Vars,
		kong.Help(helpText),
		kong.ConfigureHelp(kong.HelpOptions{Compact: g.Compact, WrapUpperBound: maxHelpColumns}),
		kong.Writers(out, p.Stderr),
		kong.Exit(func(int) { done = true }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p),
	)
	if err != nil {
		return nil, false, Usage(tried, err, "")
	}
	parsed, err = parser.Parse(args)
	p.command = typedCommand(p.Name, parsed, err, args)
	switch {
	case out.err != nil:
		return nil, false, unprinted(out.err)
	case done:
		return nil, true, nil // kong goes on parsing behind --help, and may miss a command there
	case err != nil:
		return nil, false, Misused(tried, err)
	default:
		p.forMachines = asksForJSON(parsed)
		return parsed, false, nil
	}
}

// typedCommand is the program and its command as they were typed, as far as they were understood.
func typedCommand(program string, parsed *kong.Context, err error, args []string) string {
	if failed, ok := errors.AsType[*kong.ParseError](err); ok {
		parsed = failed.Context
	}
	words := []string{program}
	if parsed == nil {
		return program
	}
	for _, path := range parsed.Path {
		if path.Command == nil || !slices.Contains(args, path.Command.Name) { // a default command needs no word
			continue
		}
		words = append(words, path.Command.Name)
	}
	return strings.Join(words, " ")
}

// asksForJSON reports whether the command has a flag --json, and it is set.
func asksForJSON(parsed *kong.Context) bool {
	return slices.ContainsFunc(parsed.Flags(), func(flag *kong.Flag) bool {
		return flag.Name == "json" && flag.IsBool() && flag.Target.Bool()
	})
}

// maxHelpColumns is the width of help texts on a wide terminal.
const maxHelpColumns = 100

// checkedWriter remembers that a write failed: kong takes such an error for one of the
// command line.
type checkedWriter struct {
	to  io.Writer
	err error
}

// Write implements io.Writer.
func (w *checkedWriter) Write(text []byte) (int, error) {
	n, err := w.to.Write(text)
	if w.err == nil {
		w.err = err
	}
	return n, err
}

// helpText is kong's, but shows flags of which one is required as alternatives.
func helpText(options kong.HelpOptions, ctx *kong.Context) error {
	var text strings.Builder
	out := ctx.Stdout
	ctx.Stdout = &text
	err := kong.DefaultHelpPrinter(options, ctx)
	ctx.Stdout = out
	if err != nil {
		return err
	}
	_, err = strings.NewReplacer(
		"--tenant=ID --no-tenant --all-tenants --tenant-header=NAME", "(--tenant=ID | --no-tenant | --all-tenants | --tenant-header=NAME)",
		"--tenant=ID --no-tenant --all-tenants", "(--tenant=ID | --no-tenant | --all-tenants)",
	).WriteString(out, text.String())
	return err
}
