/** Every command of this extension. */
export const CommandIDs = {
  show: 'jupyter-ext:show',
  create: 'jupyter-ext:create',
  pull: 'jupyter-ext:pull',
  start: 'jupyter-ext:start',
  stop: 'jupyter-ext:stop',
  restart: 'jupyter-ext:restart',
  keep: 'jupyter-ext:keep',
  remove: 'jupyter-ext:remove',
  details: 'jupyter-ext:details',
  logs: 'jupyter-ext:logs',
  terminal: 'jupyter-ext:terminal',
  saveImage: 'jupyter-ext:save-image',
  copyName: 'jupyter-ext:copy-name',
  copyId: 'jupyter-ext:copy-id',
  run: 'jupyter-ext:run-image',
  copyTag: 'jupyter-ext:copy-tag',
  shareImage: 'jupyter-ext:share-image',
  removeImage: 'jupyter-ext:remove-image',
  progress: 'jupyter-ext:progress',
  cancel: 'jupyter-ext:cancel',
  account: 'jupyter-ext:account',
  createKey: 'jupyter-ext:create-key',
  revokeKey: 'jupyter-ext:revoke-key',
  password: 'jupyter-ext:password',
  createUser: 'jupyter-ext:create-user',
  setRole: 'jupyter-ext:set-role',
  setPassword: 'jupyter-ext:set-password',
  enableUser: 'jupyter-ext:enable-user',
  disableUser: 'jupyter-ext:disable-user',
  removeUser: 'jupyter-ext:remove-user',
  addDevice: 'jupyter-ext:add-device',
  changeDevice: 'jupyter-ext:change-device',
  drainDevice: 'jupyter-ext:drain-device',
  resumeDevice: 'jupyter-ext:resume-device',
  findDeviceGpus: 'jupyter-ext:find-device-gpus',
  removeDevice: 'jupyter-ext:remove-device'
} as const;

export const PLUGIN_ID = 'jupyter-ext:plugin';

/** The translation domain. */
export const DOMAIN = 'jupyter_ext';
