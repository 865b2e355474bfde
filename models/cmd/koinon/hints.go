package main

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"net/http"

	"github.com/koinon-eu/koinon/crypto/sign"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/registry"
	"github.com/koinon-eu/koinon/models/release"
)

// explain adds to a refusal what the engineer can do about it.
func explain(err error) error {
	var unknown x509.UnknownAuthorityError
	var status *registry.StatusError
	var revoked *registry.RevokedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &revoked):
		return cli.Hint(err, "do not use this release, nor a copy that you pulled before; the federation's admins know what follows it")
	case errors.Is(err, registry.ErrPlain):
		return cli.Hint(err, "begin the location with https://")
	case errors.As(err, &status) && status.Code == http.StatusNotFound:
		return cli.Hint(err, "koinon list https://HOST/ shows which releases are there")
	case errors.Is(err, sign.ErrKey):
		return cli.Hint(err, "if the federation has a new release key, get it from its admins; never from the server the model is on")
	case errors.Is(err, sign.ErrFiles), errors.Is(err, release.ErrStatement):
		return cli.Hint(err, "do not use these files; pull the release again, and tell the federation's admins if it happens again")
	case errors.Is(err, release.ErrApprovals):
		return cli.Hint(err, "two people in two roles must approve a release; ask the federation's admins, and compare the approvers in your trust file")
	case errors.Is(err, sign.ErrBundle), errors.Is(err, sign.ErrSignature), errors.Is(err, sign.ErrIgnored):
		return cli.Hint(err, "this is not a release that can be trusted; is the location right?")
	case errors.Is(err, registry.ErrRedirect):
		return cli.Hint(err, "name the other host yourself if it is the right one")
	case errors.As(err, &unknown):
		return cli.Hint(err, "name the web server's certificate authority with --ca")
	case errors.Is(err, fs.ErrNotExist):
		return cli.Hint(err, "a release is a directory as koinon pull writes it, or a URL like https://HOST/releases/NAME")
	}
	return err
}
