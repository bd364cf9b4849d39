#!/bin/bash
# Put WordPress into /var/www/html if it is not there yet, then start what was asked for. The database may come later:
# until it does, WordPress answers 500 and asks again with each request.
set -eu

site=/var/www/html

if [ "${1:-}" = apache2-foreground ]; then
	if [ ! -e $site/wp-includes/version.php ]; then
		echo "[entrypoint] copying WordPress to $site"
		cp -r /usr/src/wordpress/. $site/
		[ "$(id -u)" != 0 ] || chown -R www-data:www-data $site
	fi
	if [ ! -s $site/wp-config.php ]; then
		# Fresh salts for this site, as the real image makes them; the rest of the file reads the environment.
		while IFS= read -r line; do
			printf '%s\n' "${line/put-your-unique-phrase-here/$(head -c 30 /dev/urandom | base64 | tr +/ -_)}"
		done </usr/src/wordpress/wp-config-docker.php >$site/wp-config.php.draft
		mv $site/wp-config.php.draft $site/wp-config.php
		[ "$(id -u)" != 0 ] || chown www-data:www-data $site/wp-config.php
	fi
fi
exec "$@"
