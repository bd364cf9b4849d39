<?php
// Settings of WordPress from the environment: WORDPRESS_NAME, or the content of the file that WORDPRESS_NAME_FILE tells.

function stand_in_setting(string $name, string $otherwise): string {
	$file = getenv("WORDPRESS_{$name}_FILE");
	if ($file !== false && $file !== '') {
		return rtrim(file_get_contents($file), "\r\n");
	}
	$value = getenv("WORDPRESS_{$name}");
	return $value === false ? $otherwise : $value;
}

define('DB_HOST', stand_in_setting('DB_HOST', 'mysql'));
define('DB_USER', stand_in_setting('DB_USER', 'example username'));
define('DB_PASSWORD', stand_in_setting('DB_PASSWORD', 'example password'));
define('DB_NAME', stand_in_setting('DB_NAME', 'wordpress'));
define('DB_CHARSET', stand_in_setting('DB_CHARSET', 'utf8'));
define('DB_COLLATE', stand_in_setting('DB_COLLATE', ''));

define('AUTH_KEY', stand_in_setting('AUTH_KEY', 'put-your-unique-phrase-here'));
define('SECURE_AUTH_KEY', stand_in_setting('SECURE_AUTH_KEY', 'put-your-unique-phrase-here'));
define('LOGGED_IN_KEY', stand_in_setting('LOGGED_IN_KEY', 'put-your-unique-phrase-here'));
define('NONCE_KEY', stand_in_setting('NONCE_KEY', 'put-your-unique-phrase-here'));
define('AUTH_SALT', stand_in_setting('AUTH_SALT', 'put-your-unique-phrase-here'));
define('SECURE_AUTH_SALT', stand_in_setting('SECURE_AUTH_SALT', 'put-your-unique-phrase-here'));
define('LOGGED_IN_SALT', stand_in_setting('LOGGED_IN_SALT', 'put-your-unique-phrase-here'));
define('NONCE_SALT', stand_in_setting('NONCE_SALT', 'put-your-unique-phrase-here'));

$table_prefix = stand_in_setting('TABLE_PREFIX', 'wp_');
define('WP_DEBUG', (bool) stand_in_setting('DEBUG', ''));
// A site that is cut off must not wait for a server of WordPress's makers with each request.
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('AUTOMATIC_UPDATER_DISABLED', true);

if (($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '') === 'https') {
	$_SERVER['HTTPS'] = 'on';
}
if ($extra = stand_in_setting('CONFIG_EXTRA', '')) {
	eval($extra);
}
if (!defined('ABSPATH')) {
	define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
