package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/argoproj/gitops-engine/pkg/health"
	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"

	"github.com/argoproj/argo-cd/v3/common"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/argoproj/argo-cd/v3/util/settings"
)

// luaCommand reads objects, one JSON document after the other, and prints one line of JSON for each: what the
// scripts in the argocd-cm given as a file make of it. Scripts run as in the controller, without Lua's open libraries.
func luaCommand() *cobra.Command {
	root := &cobra.Command{Use: "argocd-lua", SilenceUsage: true, SilenceErrors: true}
	add := func(use string, arguments int, answer func(lua.VM, *unstructured.Unstructured, []string) (any, error)) {
		root.AddCommand(&cobra.Command{
			Use:  use,
			Args: cobra.ExactArgs(arguments + 1),
			RunE: func(_ *cobra.Command, args []string) error {
				overrides, err := read(args[0])
				if err != nil {
					return err
				}
				vm := lua.VM{ResourceOverrides: overrides}
				return each(func(object *unstructured.Unstructured) (any, error) {
					return answer(vm, object, args[1:])
				})
			},
		})
	}
	add("health CONFIGMAP", 0, func(vm lua.VM, object *unstructured.Unstructured, _ []string) (any, error) {
		return health.GetResourceHealth(object, lua.ResourceHealthOverrides(vm.ResourceOverrides))
	})
	add("discover CONFIGMAP", 0, func(vm lua.VM, object *unstructured.Unstructured, _ []string) (any, error) {
		scripts, err := vm.GetResourceActionDiscovery(object)
		if err != nil {
			return nil, err
		}
		return vm.ExecuteResourceActionDiscovery(object, scripts)
	})
	add("act CONFIGMAP ACTION", 1, func(vm lua.VM, object *unstructured.Unstructured, args []string) (any, error) {
		action, err := vm.GetResourceAction(object, args[0])
		if err != nil {
			return nil, err
		}
		made, err := vm.ExecuteResourceAction(object, action.ActionLua, nil)
		if err != nil {
			return nil, err
		}
		if len(made) != 1 || made[0].K8SOperation != lua.PatchOperation {
			return nil, errors.New("the action does not patch its one object")
		}
		return made[0].UnstructuredObj.Object, nil
	})
	return root
}

func each(answer func(*unstructured.Unstructured) (any, error)) error {
	objects, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var object map[string]any
		if err := objects.Decode(&object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		said, err := answer(&unstructured.Unstructured{Object: object})
		if err != nil {
			return err
		}
		if err := answers.Encode(said); err != nil {
			return err
		}
	}
}

// read lets Argo CD's own reader of settings find the scripts in a file with (a patch of) the ConfigMap argocd-cm.
func read(path string) (map[string]v1alpha1.ResourceOverride, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var config v1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &config); err != nil {
		return nil, err
	}
	config.Name, config.Namespace = common.ArgoCDConfigMapName, "argocd"
	config.Labels = map[string]string{"app.kubernetes.io/part-of": "argocd"}
	secret := v1.Secret{Data: map[string][]byte{"server.secretkey": []byte("none")}}
	secret.Name, secret.Namespace, secret.Labels = common.ArgoCDSecretName, config.Namespace, config.Labels
	client := fake.NewClientset(&config, &secret)
	return settings.NewSettingsManager(context.Background(), client, config.Namespace).GetResourceOverrides()
}
