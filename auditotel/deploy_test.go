package auditotel_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The files of deploy/ are read here because this module has a parser of YAML.

const composeFile = "../deploy/compose.yaml"

type composeService struct {
	Image       string
	Build       struct{ Context, Dockerfile string }
	Command     []string
	Environment map[string]string
	Secrets     []string
	Volumes     []string
	Profiles    []string
	ReadOnly    bool                                  `yaml:"read_only"`
	CapDrop     []string                              `yaml:"cap_drop"`
	SecurityOpt []string                              `yaml:"security_opt"`
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
}

type compose struct {
	Services map[string]composeService
	Secrets  map[string]struct{ File string }
	Volumes  map[string]any
}

func TestComposeFileIsComplete(t *testing.T) {
	t.Parallel()
	file := readYAML[compose](t, composeFile)
	for _, name := range []string{"db", "wait", "migrate", "grants", "sealer", "keygen", "doctor"} {
		if _, ok := file.Services[name]; !ok {
			t.Errorf("there is no service %s", name)
		}
	}
	for name, service := range file.Services {
		for _, secret := range service.Secrets {
			if _, ok := file.Secrets[secret]; !ok {
				t.Errorf("%s uses secret %s, which is not declared", name, secret)
			}
		}
		for _, volume := range service.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if source == "key" && name != "sealer" && name != "keygen" {
				t.Errorf("%s can read the private key", name)
			}
			if _, declared := file.Volumes[source]; !declared && !strings.HasPrefix(source, "./") {
				t.Errorf("%s uses volume %s, which is not declared", name, source)
			} else if strings.HasPrefix(source, "./") {
				mustStand(t, filepath.Join("../deploy", source))
			}
		}
		for on, condition := range service.DependsOn {
			if _, ok := file.Services[on]; !ok || condition.Condition == "" {
				t.Errorf("%s depends on %s, which does not exist, or without a condition", name, on)
			}
		}
		for variable, value := range service.Environment {
			role, given := strings.CutPrefix(value, "postgres://")
			role, _, _ = strings.Cut(role, "@")
			if given && (strings.Contains(role, ":") || !strings.Contains(value, "passfile=/run/secrets/"+role) || !slices.Contains(service.Secrets, role)) {
				t.Errorf("%s: %s has a password, or not that of its role in a secret", name, variable)
			}
		}
		if name == "db" {
			continue
		}
		mustStand(t, filepath.Join("../deploy", service.Build.Context, service.Build.Dockerfile))
		if !service.ReadOnly || !slices.Contains(service.CapDrop, "ALL") || !slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may do more than it needs to", name)
		}
	}
	for name, secret := range file.Secrets {
		if secret.File != "./secrets/"+name {
			t.Errorf("secret %s is in %s, where secrets.sh does not put it", name, secret.File)
		}
	}
}

func mustStand(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// podSpec is the part of a manifest that runs something.
type podSpec struct {
	RestartPolicy   string `yaml:"restartPolicy"`
	AutomountToken  *bool  `yaml:"automountServiceAccountToken"`
	SecurityContext struct {
		RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
		RunAsUser      int                   `yaml:"runAsUser"`
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	InitContainers []container `yaml:"initContainers"`
	Containers     []container
	Volumes        []struct{ Name string }
}

type container struct {
	Name, Image   string
	Command, Args []string
	Env           []struct {
		Name, Value string
		ValueFrom   struct {
			SecretKeyRef struct{ Name, Key string } `yaml:"secretKeyRef"`
		} `yaml:"valueFrom"`
	}
	VolumeMounts    []struct{ Name string } `yaml:"volumeMounts"`
	SecurityContext struct {
		ReadOnly     bool  `yaml:"readOnlyRootFilesystem"`
		Escalation   *bool `yaml:"allowPrivilegeEscalation"`
		Capabilities struct{ Drop []string }
	} `yaml:"securityContext"`
	Resources struct{ Requests, Limits map[string]string }
}

type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		Template    *struct{ Spec podSpec }
		JobTemplate *struct {
			Spec struct{ Template struct{ Spec podSpec } }
		} `yaml:"jobTemplate"`
		VolumeClaimTemplates []struct{ Metadata struct{ Name string } } `yaml:"volumeClaimTemplates"`
	}
}

// manifests returns the objects of all manifests, and the specs of their pods.
func manifests(t *testing.T) (all []manifest, pods map[string]podSpec) {
	t.Helper()
	files, err := filepath.Glob("../deploy/kubernetes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	pods = map[string]podSpec{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var object manifest
			err := decoder.Decode(&object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, object)
			if job := object.Spec.JobTemplate; job != nil {
				pods[object.Metadata.Name] = job.Spec.Template.Spec
			} else if object.Spec.Template != nil {
				spec := object.Spec.Template.Spec
				for _, claim := range object.Spec.VolumeClaimTemplates {
					spec.Volumes = append(spec.Volumes, struct{ Name string }{claim.Metadata.Name})
				}
				pods[object.Metadata.Name] = spec
			}
		}
	}
	return all, pods
}

func TestManifestsGiveEachPodWhatItNeeds(t *testing.T) {
	t.Parallel()
	all, pods := manifests(t)
	for _, object := range all {
		if object.APIVersion == "" || object.Kind == "" || object.Metadata.Name == "" {
			t.Errorf("an object without kind or name: %+v", object)
		}
	}
	if len(pods) != 5 {
		t.Errorf("%d pods, want those of the migration, the sealer, the doctor, the console and a service", len(pods))
	}
	for name, pod := range pods {
		if pod.AutomountToken == nil || *pod.AutomountToken || !pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.RunAsUser != 65532 || pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault" {
			t.Errorf("pod %s may do more than it needs to", name)
		}
		for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
			if !c.SecurityContext.ReadOnly || c.SecurityContext.Escalation == nil || *c.SecurityContext.Escalation || !slices.Contains(c.SecurityContext.Capabilities.Drop, "ALL") ||
				c.Resources.Requests["memory"] == "" || c.Resources.Limits["memory"] == "" {
				t.Errorf("%s of pod %s may do more than it needs to, or has no bounds", c.Name, name)
			}
			for _, env := range c.Env {
				if secret := env.ValueFrom.SecretKeyRef; env.Value != "" || !strings.HasPrefix(secret.Name, "coordaudit-") || secret.Key != "url" {
					t.Errorf("%s of pod %s: %s is not from a secret", c.Name, name, env.Name)
				}
			}
			for _, mount := range c.VolumeMounts {
				if !slices.ContainsFunc(pod.Volumes, func(v struct{ Name string }) bool { return v.Name == mount.Name }) {
					t.Errorf("%s of pod %s mounts %s, which is no volume", c.Name, name, mount.Name)
				}
			}
		}
	}
}

// Each command line is one that its program takes: without a database it says so, and complains of
// nothing before.
func TestDeployedCommandLinesAreValid(t *testing.T) {
	t.Parallel()
	programs := map[string]string{}
	for _, name := range []string{"migrate", "coordaudit"} {
		programs[name] = filepath.Join(t.TempDir(), name)
		build := exec.CommandContext(t.Context(), "go", "build", "-o", programs[name], "./cmd/"+name)
		build.Dir = ".."
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	type line struct {
		image, where string
		args         []string
	}
	var lines []line
	for name, service := range readYAML[compose](t, composeFile).Services {
		lines = append(lines, line{service.Image, composeFile + " " + name, service.Command})
	}
	_, pods := manifests(t)
	for name, pod := range pods {
		for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
			image, _, _ := strings.Cut(c.Image, ":")
			lines = append(lines, line{image, name + " " + c.Name, c.Args})
		}
	}
	keys := filepath.Join(t.TempDir(), "seal.key")
	if out, err := exec.CommandContext(t.Context(), programs["coordaudit"], "seal", "keygen", keys, "--name", "audit.example.com/trail").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(rand.Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	ours := strings.NewReplacer("/key/seal.key", keys, "/run/secrets/seal.key", keys, "/token/token", token)
	tried := 0
	for _, l := range lines {
		program := map[string]string{"coordaudit-migrate": programs["migrate"], "coordaudit": programs["coordaudit"]}[l.image]
		if program == "" || slices.Contains(l.args, "keygen") { // which was tried above
			continue
		}
		args := slices.Clone(l.args)
		for i := range args {
			args[i] = ours.Replace(args[i])
		}
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = []string{"HOME=" + t.TempDir()}
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "no database is given") {
			t.Errorf("%s: %v: %s", l.where, args, out)
		}
		tried++
	}
	if tried < 10 {
		t.Errorf("%d command lines were tried, want all", tried)
	}
}

// The cluster to try a distributed trail on: every node, what makes a cluster of them, and the
// commands that docs/citus.md names.
func TestClusterFileIsComplete(t *testing.T) {
	t.Parallel()
	file := readYAML[compose](t, "../deploy/citus/compose.yaml")
	for name, command := range map[string]string{
		"coordinator": "shared_preload_libraries=citus", "worker-1": "shared_preload_libraries=citus", "worker-2": "shared_preload_libraries=citus",
		"register": "citus_add_node('worker-2', 5432)", "migrate": "up", "distribute": "distribute", "test": "test-citus",
	} {
		service, ok := file.Services[name]
		if !ok || !strings.Contains(strings.Join(service.Command, " "), command) {
			t.Errorf("service %s does not run %q: %v", name, command, service.Command)
		}
		for on := range service.DependsOn {
			if _, ok := file.Services[on]; !ok {
				t.Errorf("service %s depends on %s, which is not there", name, on)
			}
		}
		for _, volume := range service.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if _, declared := file.Volumes[source]; !declared && !strings.HasPrefix(source, ".") {
				t.Errorf("service %s uses volume %s, which is not declared", name, source)
			}
		}
	}
}
