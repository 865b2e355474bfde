package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes of every Koinon program.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// EnvPrefix begins the environment variable that stands for a flag:
// --data-dir is KOINON_DATA_DIR. A flag tagged env:"-" has none.
const EnvPrefix = "KOINON"

// Streams are the three standard streams of a command. A command's Run method
// asks for them (and for a context.Context) as parameters:
//
//	func (c *showCommand) Run(ctx context.Context, std cli.Streams) error
type Streams struct {
	In  io.Reader
	Out io.Writer // data, and nothing but data
	Err io.Writer // errors, progress, logs
}

// OSStreams returns the streams of this process.
func OSStreams() Streams { return Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr} }

type settings struct {
	description string
	kong        []kong.Option
	vars        map[string]string
}

// An Option changes how Main and Run treat the grammar.
type Option func(*settings)

// Description is the sentence at the head of the program's help.
func Description(text string) Option { return func(s *settings) { s.description = text } }

// Bind offers values to the Run methods of the commands, by their type.
func Bind(values ...any) Option {
	return func(s *settings) { s.kong = append(s.kong, kong.Bind(values...)) }
}

// BindAs offers value to Run methods that ask for the interface T.
func BindAs[T any](value T) Option {
	return func(s *settings) { s.kong = append(s.kong, kong.BindTo(value, (*T)(nil))) }
}

// Vars are substituted for ${name} in the tags of the grammar.
func Vars(vars map[string]string) Option {
	return func(s *settings) {
		for k, v := range vars {
			s.vars[k] = v
		}
	}
}

// Main parses the arguments of this process by grammar (a pointer to a kong
// struct), runs the chosen command and ends the process with 0, 1 or 2.
// The command's context ends on SIGINT and SIGTERM; a second signal kills.
func Main(name, version string, grammar any, opts ...Option) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // gives the second signal its usual, deadly meaning
	os.Exit(Run(ctx, OSStreams(), os.Args[1:], name, version, grammar, opts...))
}

// exit carries the code of --help and --version out of kong's parser, which
// expects its exit function never to return.
type exit int

// Run is Main without the process: it returns the exit code. Use it in tests.
func Run(ctx context.Context, std Streams, args []string, name, version string, grammar any, opts ...Option) (code int) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(exit)
			if !ok {
				panic(r)
			}
			code = int(e)
		}
	}()
	parser, err := newParser(std, name, version, grammar, opts)
	if err != nil {
		panic(fmt.Sprintf("%s: grammar: %v", name, err)) // a fault of the program, not of its user
	}
	command, err := parser.Parse(args)
	if err != nil {
		PrintError(std.Err, usage(name, err))
		return ExitUsage
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return report(ctx, std, command.Run())
}

func newParser(std Streams, name, version string, grammar any, opts []Option) (*kong.Kong, error) {
	s := settings{vars: map[string]string{}}
	for _, opt := range opts {
		opt(&s)
	}
	s.vars["version"] = name + " " + version
	common := &struct {
		Version kong.VersionFlag `help:"Print the version and leave." env:"-"`
	}{}
	return kong.New(grammar, append([]kong.Option{
		kong.Name(name),
		kong.Description(s.description),
		kong.Embed(common),
		kong.DefaultEnvars(EnvPrefix),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Writers(std.Out, std.Err),
		kong.Exit(func(c int) { panic(exit(c)) }),
		kong.Vars(s.vars),
		kong.Bind(std),
	}, s.kong...)...)
}

// usage turns a parse error into one that points at the help of the command
// that was meant.
func usage(name string, err error) error {
	var hinted *hintError
	if errors.As(err, &hinted) {
		return err
	}
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if node := parse.Context.Selected(); node != nil {
			name = strings.Join(append([]string{name}, commandPath(node)...), " ")
		}
	}
	return Hint(err, "run %q to see what it takes", name+" --help")
}

func commandPath(node *kong.Node) []string {
	var path []string
	for ; node != nil && node.Type != kong.ApplicationNode; node = node.Parent {
		if node.Type == kong.CommandNode {
			path = append([]string{node.Name}, path...)
		}
	}
	return path
}

func report(ctx context.Context, std Streams, err error) int {
	if err == nil {
		return ExitOK
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	PrintError(std.Err, err)
	var wrong *usageError
	if errors.As(err, &wrong) {
		return ExitUsage
	}
	return ExitFailed
}

// WithoutExample names every command of grammar whose help shows no example:
// a command implements Help() string with an indented line under "Example:".
// Each program tests that the list is empty.
func WithoutExample(name string, grammar any, opts ...Option) ([]string, error) {
	parser, err := newParser(Streams{Out: io.Discard, Err: io.Discard}, name, "", grammar, opts)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, leaf := range parser.Model.Leaves(false) {
		if !strings.Contains(leaf.Detail, "Example") {
			missing = append(missing, strings.Join(commandPath(leaf), " "))
		}
	}
	return missing, nil
}
