// Talos-machinery is the part of talosctl that needs no cluster: it makes, patches and validates machine configurations.
// gen and machineconfig are its own commands; print prints as its commands get, service and version do.
// The rest of talosctl needs modules that cannot be had from a proxy.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/siderolabs/talos/cmd/talosctl/cmd/mgmt/gen"
	"github.com/siderolabs/talos/cmd/talosctl/cmd/mgmt/machineconfig"
	"github.com/siderolabs/talos/pkg/cli"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/validation"
	"github.com/spf13/cobra"
)

// short names the commands that are two words in talosctl; its own words are understood too.
var short = map[string][]string{
	"gen-secrets": {"gen", "secrets"},
	"gen-config":  {"gen", "config"},
	"patch":       {"machineconfig", "patch"},
}

// mode is talosctl's runtime mode, which its module keeps internal.
type mode string

func (m mode) String() string        { return string(m) }
func (m mode) RequiresInstall() bool { return m == "metal" }
func (m mode) InContainer() bool     { return m == "container" }

func validate() *cobra.Command {
	var file, name string
	var strict bool
	command := &cobra.Command{
		Use:   "validate",
		Short: "Validate config",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			config, err := configloader.NewFromFile(file)
			if err != nil {
				return err
			}
			if !slices.Contains([]string{"cloud", "container", "metal", "metal-agent"}, name) {
				return fmt.Errorf("unknown runtime mode: %q", name)
			}
			options := []validation.Option{validation.WithLocal()}
			if strict {
				options = append(options, validation.WithStrict())
			}
			warnings, err := config.Validate(mode(name), options...)
			for _, warning := range warnings {
				cli.Warning("%s", warning)
			}
			if err != nil {
				return err
			}
			fmt.Printf("%s is valid for %s mode\n", file, name)
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVarP(&file, "config", "c", "", "the path of the config file")
	flags.StringVarP(&name, "mode", "m", "", "the mode to validate the config for (valid values are metal, cloud, and container)")
	flags.BoolVar(&strict, "strict", false, "treat validation warnings as errors")
	cli.Should(command.MarkFlagRequired("mode"))
	return command
}

func main() {
	root := &cobra.Command{Use: "talos-machinery", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(gen.Cmd, machineconfig.Cmd, validate(), printing())
	args := os.Args[1:]
	if len(args) > 0 {
		if words, ok := short[args[0]]; ok {
			args = slices.Concat(words, args[1:])
		}
	}
	root.SetArgs(args)
	command, err := root.ExecuteC()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	// As talosctl: what is wrong with the command line is told with the usage.
	for _, word := range []string{"arg(s)", "flag", "command"} {
		if strings.Contains(err.Error(), word) {
			fmt.Fprintf(os.Stderr, "\n%s\n", command.UsageString())
			break
		}
	}
	os.Exit(1)
}
