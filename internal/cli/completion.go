package cli

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

// CompletionCommand prints a script that completes a program's command lines.
//
// The scripts are made here from kong's model. The add-ons that do it, kongplete and
// kong-completion, need posener/complete, go-multierror and more: each line of go.mod is
// a minimum version for everyone who imports this module. They also start the program at
// each press of the key, which these scripts do not.
type CompletionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell that the script is for: bash, zsh or fish."`
}

// Help is shown below the command's usage.
func (c *CompletionCommand) Help() string {
	return "To complete in the shell that runs now: source <(PROGRAM completion bash), the same for zsh, or PROGRAM completion fish | source."
}

// Run is called by kong.
func (c *CompletionCommand) Run(ctx *kong.Context, p *Program) error {
	words := newCompletion(ctx.Model)
	switch c.Shell {
	case "bash":
		return p.Print(words.bash())
	case "zsh":
		return p.Print(words.zsh())
	default:
		return p.Print(words.fish())
	}
}

// completion is what a command line of a program may consist of.
type completion struct {
	program  string
	flags    []flagWord // of every command
	commands []commandWord
}

type commandWord struct {
	name, about string
	flags       []flagWord
	values      []string // of its argument, if only these are allowed
}

type flagWord struct {
	name, about string
	short       rune // 0 if there is none
	value       bool // it takes one
}

func newCompletion(app *kong.Application) completion {
	words := completion{program: app.Name, flags: flagWords(app.Flags)}
	for _, node := range app.Children {
		if node.Hidden {
			continue
		}
		command := commandWord{name: node.Name, about: firstSentence(node.Help), flags: flagWords(node.Flags)}
		if len(node.Positional) > 0 && node.Positional[0].Enum != "" {
			command.values = strings.Split(node.Positional[0].Enum, ",")
		}
		words.commands = append(words.commands, command)
	}
	return words
}

func flagWords(flags []*kong.Flag) []flagWord {
	var words []flagWord
	for _, flag := range flags {
		if !flag.Hidden {
			words = append(words, flagWord{name: flag.Name, about: firstSentence(flag.Help), short: flag.Short, value: !flag.IsBool()})
		}
	}
	return words
}

// firstSentence is enough for a line in a menu.
func firstSentence(help string) string {
	first, _, _ := strings.Cut(strings.ReplaceAll(help, "\n", " "), ". ")
	return strings.TrimSuffix(first, ".")
}

// function is the name of the shell function that completes.
func (c completion) function() string { return "_" + strings.ReplaceAll(c.program, "-", "_") }

// bash offers commands and flags, and leaves the rest to the completion of files. Bash
// splits --flag=value at the equals sign.
func (c completion) bash() string {
	var commands, withValue []string
	for _, command := range c.commands {
		commands = append(commands, command.name)
	}
	for _, flag := range c.flags {
		if flag.value {
			withValue = append(withValue, "--"+flag.name)
		}
	}
	if withValue == nil {
		withValue = []string{"--"}
	}
	var flags, values strings.Builder
	fmt.Fprintf(&flags, "\t\t'') words='%s' ;;\n", joinedFlags(c.flags))
	fmt.Fprintf(&values, "\t\t'') words='%s' ;;\n", strings.Join(commands, " "))
	for _, command := range c.commands {
		fmt.Fprintf(&flags, "\t\t%s) words='%s' ;;\n", command.name, joinedFlags(command.flags, c.flags))
		if command.values != nil {
			fmt.Fprintf(&values, "\t\t%s) words='%s' ;;\n", command.name, strings.Join(command.values, " "))
		}
	}
	return fmt.Sprintf(`# Completes %[1]s in bash. Made by: %[1]s completion bash
%[2]s() {
	local word=${COMP_WORDS[COMP_CWORD]} command= words= i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		%[3]s)
			i=$((i + 1))
			[[ ${COMP_WORDS[i]} != = ]] || i=$((i + 1))
			;;
		-*) ;;
		*)
			command=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	COMPREPLY=()
	((i <= COMP_CWORD)) || return # the word is the value of a flag
	if [[ $word == -* ]]; then
		case $command in
%[4]s		esac
	else
		case $command in
%[5]s		esac
	fi
	COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o bashdefault -o default -F %[2]s %[1]s
`, c.program, c.function(), strings.Join(withValue, "|"), flags.String(), values.String())
}

func joinedFlags(groups ...[]flagWord) string {
	var names []string
	for _, group := range groups {
		for _, flag := range group {
			names = append(names, "--"+flag.name)
		}
	}
	return strings.Join(names, " ")
}

// zsh offers commands and flags with what they are for, and files.
func (c completion) zsh() string {
	var commands, arguments strings.Builder
	for _, command := range c.commands {
		fmt.Fprintf(&commands, "\t\t\t%s\n", format.ShellQuoted(command.name+":"+command.about))
		rest := "'*:file:_files'"
		if command.values != nil {
			rest = format.ShellQuoted("1:value:(" + strings.Join(command.values, " ") + ")")
		}
		fmt.Fprintf(&arguments, "\t\t%s)\n\t\t\t_arguments%s%s \\\n\t\t\t\t%s\n\t\t\t;;\n",
			command.name, zshFlags(command.flags, "\t\t\t\t"), zshFlags(c.flags, "\t\t\t\t"), rest)
	}
	return fmt.Sprintf(`#compdef %[1]s
# Completes %[1]s in zsh. Made by: %[1]s completion zsh
%[2]s() {
	local state line
	local -a commands
	_arguments -C%[3]s \
		'1: :->command' \
		'*:: :->rest'
	case $state in
	command)
		commands=(
%[4]s		)
		_describe command commands
		;;
	rest)
		case $line[1] in
%[5]s		esac
		;;
	esac
}
if [[ $funcstack[1] == %[2]s ]]; then
	%[2]s "$@"
else
	compdef %[2]s %[1]s
fi
`, c.program, c.function(), zshFlags(c.flags, "\t\t"), commands.String(), arguments.String())
}

func zshFlags(flags []flagWord, indent string) string {
	var text strings.Builder
	escape := strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `:`, `\:`)
	for _, flag := range flags {
		value := ""
		name := "--" + flag.name
		if flag.value {
			name += "="
			value = ":value:_files"
		}
		text.WriteString(" \\\n" + indent + format.ShellQuoted(name+"["+escape.Replace(flag.about)+"]"+value))
	}
	return text.String()
}

// fish offers commands and flags with what they are for, and files.
func (c completion) fish() string {
	var text strings.Builder
	fmt.Fprintf(&text, "# Completes %[1]s in fish. Made by: %[1]s completion fish\n", c.program)
	line := func(condition string, rest string) {
		text.WriteString("complete -c " + c.program + condition + rest + "\n")
	}
	for _, flag := range c.flags {
		line("", fishFlag(flag))
	}
	for _, command := range c.commands {
		line(" -n __fish_use_subcommand", " -f -a "+command.name+" -d "+fishQuoted(command.about))
		condition := " -n '__fish_seen_subcommand_from " + command.name + "'"
		for _, flag := range command.flags {
			line(condition, fishFlag(flag))
		}
		if command.values != nil {
			line(condition, " -f -a "+fishQuoted(strings.Join(command.values, " ")))
		}
	}
	return text.String()
}

func fishFlag(flag flagWord) string {
	text := " -l " + flag.name
	if flag.short != 0 {
		text += " -s " + string(flag.short)
	}
	if flag.value {
		text += " -r"
	}
	return text + " -d " + fishQuoted(flag.about)
}

// fishQuoted is a word for fish, in which a backslash escapes also between quotes.
func fishQuoted(word string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(word) + "'"
}
